// Package bustest connects to NATS inside tests, as a bridge does but with short intervals.
//
// In: a test and a server of internal/natstest. Out: a bus.Conn that is ready, a publisher on it, what it logs, and an outside client that looks
// at what the bridge stored. It ends everything with the test. No program imports it.
package bustest
