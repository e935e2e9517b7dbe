// Package tenant is the state of one tenant of the simulated factro, and what the operations of the Core API do to it.
//
// In: a valid request (Read) and its environment (Env). Out: the answer as a value with its events, or a RefusalError. It never sends
// anything, never sleeps, and has no locks: the simulator does that.
package tenant
