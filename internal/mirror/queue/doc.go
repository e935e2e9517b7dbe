// Package queue holds the objects that the mirror has to read again.
//
// In: events about objects, each with its place in the stream, and other reasons to read an object. Out: the object to read next, with all
// events that the reading covers, and up to which place all events are covered. An event that comes while its object is being read is
// not covered by that reading. It never reads anything itself.
package queue
