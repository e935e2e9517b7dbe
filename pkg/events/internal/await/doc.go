// Package await waits for the results of one command, which come in two ways: as copies on an inbox, which can be lost, and in
// the stream that has them all.
//
// In: when and where the command was sent. Out: events that may be its results, to a function that judges them. It never
// decides whose result an event is.
package await
