// Package timeline finds out what happened to an event, a command or an object of factro, out of the streams alone.
//
// In: a reader of streams, a cloud, and an id of any kind: of an event, a command, an object or a trace, or an external key. Out: what
// happened, in its order, as entries with a time, a step and the place where that is recorded; and what was read to find them, how far
// back, and what could not be read.
//
// It never claims what no stream records, never writes, and knows no terminal.
package timeline
