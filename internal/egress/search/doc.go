// Package search finds the objects of creates whose answers were lost, and makes the reads of factro that a command needs.
//
// In: a create, when it was called, and what other commands have made. Out: the objects that it made or possibly made. A read waits and
// is repeated as the call of a command is.
//
// It never decides what is found means for the command, and it writes nothing.
package search
