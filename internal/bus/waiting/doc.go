// Package waiting reads the commands that wait in a cloud's queue, and takes single ones out of it.
//
// In: a connection and a cloud. Out: the commands, one after the other in the order of the stream, each with what its dead letter
// is made of.
//
// It never decides what is taken out, and does not know which of them a bridge is working on.
package waiting
