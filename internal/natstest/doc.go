// Package natstest starts NATS servers inside tests.
//
// In: a test, or an example by [Example], and changes to the options of its servers. Out: a server, or three of a cluster, that stop and start again with
// their port and their store, connections to them, and waits for what they do. It ends everything with the test.
//
// It never knows the bridge: packages at any level may use it in their tests. No program imports it.
package natstest
