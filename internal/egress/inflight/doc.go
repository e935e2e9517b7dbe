// Package inflight has the states of the commands in flight, for status requests and for the search for what a create has made.
//
// In: what is done with each command. Out: the state of the one that has been in flight for the longest time, and when the ledger knows
// what those have made that are in flight. It never changes a command.
package inflight
