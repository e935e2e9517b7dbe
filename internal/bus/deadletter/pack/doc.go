// Package pack makes messages fit into the place where they are kept: dead letters and results.
//
// In come messages that their stream does not take. Out comes a dead letter with less in it, for the stream, or the content of an
// object that holds whole messages; and from such an object the same messages again. It never talks to a server, and never decides
// what is shortened or kept.
package pack
