// Package delayed has the commands about commands of factro that wait for their time: delayed list and cancel.
//
// In: flags and arguments. Out: lines for people or JSON, and exit codes. It never reads or writes the ledger; a bridge cancels.
package delayed
