// Package dial knows how to reach NATS.
//
// In: the configuration of a connection, with its credentials and the files of TLS. Out: what the client library is told of them,
// which server it tries next, and why none can be reached, with the setting that helps. Replaced files count from the next attempt.
//
// It never holds a connection of its own, and never shows an address with a password in it.
package dial
