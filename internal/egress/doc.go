// Package egress carries out the commands of one factro cloud.
//
// In: commands, several at once, but those that change the same thing one after the other. Out: calls to the Core API through internal/coreapi, a result event for each command, and the
// verdict by which the bus settles the command. It repeats only what is safe to repeat. It never repeats a create that may have
// happened: before each call the ledger records that the call may have been made. If the answer to a create is lost, it
// searches factro for the created object.
//
// It does not know NATS or HTTP. An outage of factro never makes it give up a command. It gives up only if factro refuses this
// command, or fails on it too often.
package egress
