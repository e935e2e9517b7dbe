// Package client is the connection of command-line tools.
//
// In: how to reach NATS, and what a user wants to send, ask or look up. Out: the answer, or at once why there is none, with the
// permission that was refused.
//
// It never makes a stream or a bucket, and never waits for a server that is away.
package client
