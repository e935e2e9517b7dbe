// Package stored reads single messages of streams, as they are in the stream's leader.
//
// In: a connection, a stream, and which message. Out: the message with the broker's own words about it, whatever words of the
// broker's its sender wrote into its headers; or all messages of one subject from somewhere on.
//
// It never writes, and it knows nothing of what the messages are about.
package stored
