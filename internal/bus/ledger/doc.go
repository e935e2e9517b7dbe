// Package ledger remembers the outcome of each command, so that none is carried out twice.
//
// In: the identity of a command, and its record before and after each call. Out: the record that is known, whether another bridge has
// taken the command over, which objects were made by commands, and by which one.
//
// It never carries out a command, and never decides what a record means.
package ledger
