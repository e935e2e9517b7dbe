// Package externalkey decides what external keys mean for a command or a query.
//
// In: the keys that a command has, the entries of internal/bus/keys, and the ledger's records of the commands that have reserved keys.
// Out: the ids that keys in the data stand for, whether a create makes its object or gets an existing one, and whether the key
// stays when the command has ended.
//
// It never calls factro: whether an object exists is asked by its caller.
package externalkey
