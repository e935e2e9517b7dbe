// Package journal reads streams.
//
// In: a stream, where to begin, where to end, and what to filter by. Out: its messages in their order, as events where they are
// some. Events adds since when the stream is complete, and Expect waits for one message without making a consumer.
//
// It never writes, and never acknowledges anything.
package journal
