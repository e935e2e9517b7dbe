// Package tenant is the state of one tenant of the simulated factro, and what the operations of the Core API do to it.
//
// In: a request that fits the description (Read), and what holds for it (Env). Out: the answer as a value, the events that happened,
// or a RefusalError. It never sends anything, sleeps nowhere, and locks nothing: the simulator does.
package tenant
