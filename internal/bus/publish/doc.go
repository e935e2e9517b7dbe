// Package publish stores messages in the streams that take their subjects.
//
// In: events, and messages that are none, each with an id that makes repeating it harmless. Out: nil only if the right stream
// has acknowledged the message; else an error that says whether it is the message's own fault, and whether trying again is of
// use. It waits for a connection that is away, and stores what has the id of another event under an id of its own.
//
// It keeps nothing: what no stream takes is the caller's to keep.
package publish
