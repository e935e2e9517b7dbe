// Package limits keeps in the spool's directory how large the messages are that NATS takes, for a start while NATS is away.
//
// In come the limits that the connection has seen. Out come those and, where it has seen none yet, the ones that an earlier process
// saw. It never decides whether a message fits.
package limits
