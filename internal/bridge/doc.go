// Package bridge hangs the doors: it reads the configuration, builds the rooms, connects them and runs them.
//
// In: a configuration. Out: a running bridge with its webhook server, its workers and its admin endpoints. It decides in
// what order things start and stop, and nothing else.
package bridge
