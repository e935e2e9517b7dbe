// Package lane decides which of the waiting commands of a cloud is carried out next.
//
// In: entries, each with its place in the stream, its lane, its sender and its priority, and the times at which something happens.
// Out: the next entry, the lanes whose tail does not fit, and an estimate of how many entries go before one. Within a lane the order
// is that of the stream. Between lanes, priority counts first, then fairness between senders, then the order of the stream.
//
// It never asks for the time, knows no broker and no command, and is not safe for concurrent use.
package lane
