// Package bus is the only room that knows NATS.
//
// In: events to publish, handlers for commands. Out: acknowledged messages in JetStream's streams, settled commands,
// dead letters, and the ledger of creates. It connects once and never gives up, runs an embedded server where one is
// wanted, makes the streams and consumers of the contract and warns when existing ones differ.
//
// It never decides what a command means: it settles by the error that the handler returns. And it never returns nil from
// a publish that the stream did not acknowledge.
package bus
