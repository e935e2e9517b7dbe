// Package delay has what is special about commands that wait for their notbefore.
//
// In: commands, and requests to cancel one. Out: whether and until when a command waits, and whether it is cancelled, by its record in the
// ledger. It never carries out a command, and publishes no result: a worker does.
package delay
