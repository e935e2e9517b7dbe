// Package egress calls the Core API of one factro cloud, for commands and for queries.
//
// In: commands, one at a time, and queries, many at once. Out: calls to the Core API, a result event for each command and
// the verdict by which the bus settles it, an answer for each query. It paces the calls, commands first, stops while
// factro fails, throttles or refuses the key, repeats what can safely be repeated and never repeats a create that may have
// happened. Equal queries that wait together are one call.
//
// It never knows NATS, and it never gives up on a command because factro is away: only because factro said no, or
// failed on this very command too often.
package egress
