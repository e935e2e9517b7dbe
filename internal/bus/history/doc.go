// Package history reads what streams have, to find something in them.
//
// In: a stream, a subject or a range of its messages, and what to keep of them. Out: the messages that were kept, from the beginning or
// from the newest on, and how many were read for that.
//
// It asks by direct gets alone. So it makes no consumer, works on queues as well, and whoever may do no more than that can use it. It
// never writes, and never acknowledges anything.
package history
