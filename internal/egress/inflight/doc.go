// Package inflight has the states of the commands in flight, for status requests.
//
// In: what is done with each command. Out: the state of the one that has been in flight for the longest time. It never changes a
// command.
package inflight
