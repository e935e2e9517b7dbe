// Package egress carries out commands against the Core API of one factro cloud.
//
// In: commands, one at a time. Out: calls to the Core API, a result event for each command, and the verdict by which the
// bus settles it. It paces the calls, stops pulling while factro fails, throttles or refuses the key, repeats what can
// safely be repeated and never repeats a create that may have happened.
//
// It never knows NATS, and it never gives up on a command because factro is away: only because factro said no, or
// failed on this very command too often.
package egress
