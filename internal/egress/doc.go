// Package egress carries out the commands of one factro cloud.
//
// In: commands, one at a time. Out: calls to the Core API through internal/coreapi, a result event for each command, and the
// verdict by which the bus settles it. It repeats what can safely be repeated, and never repeats a create that may have
// happened: the ledger says before each call that it may have been made, and a lost answer to a create is looked for.
//
// It never knows NATS or HTTP. It never gives up on a command because factro is away, only because factro said no or failed
// on this very command too often.
package egress
