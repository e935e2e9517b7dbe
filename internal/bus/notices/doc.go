// Package notices stores what the bridge reports of itself in the stream for it, beside its work.
//
// In: messages with their ids. Out: the same in their stream, as soon as NATS takes them, in order and at most a few minutes late;
// what it cannot store it logs.
//
// It never makes its callers wait, and never makes the bridge unready: the work does not depend on it.
package notices
