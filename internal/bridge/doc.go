// Package bridge builds the parts of a process from its configuration, connects them and runs them.
//
// In: a configuration. Out: a running bridge with its webhook server, one unit for each cloud, and its admin endpoints. It
// decides in what order things start and stop, and nothing else.
package bridge
