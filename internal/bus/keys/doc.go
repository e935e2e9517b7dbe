// Package keys remembers which object of factro has which external key, so that creates under one key make one object, and commands and
// queries can name objects by keys of their senders.
//
// In: an external key, the command that creates its object, the object's id. Out: the id, or the command that is about to create the
// object. Each key has one object, and each object one key. An entry that a command has reserved stays its own until it is completed or
// released, whatever happens to the process.
//
// It never calls factro, and never decides whether the command of a reserved key has ended: the ledger knows that.
package keys
