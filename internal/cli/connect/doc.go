// Package connect has the flags of the commands that use NATS, and connects as they say.
//
// In: flags, contexts of the nats command, the configuration of a bridge, and the environment. Out: a connection, and the clouds to
// work on. It sends nothing.
package connect
