// Package bus is the only room that knows NATS.
//
// In: events to publish, handlers for commands. Out: acknowledged messages in JetStream's streams, settled commands,
// dead letters, and the ledger of creates. It connects once and never gives up, runs an embedded server where one is
// wanted, keeps webhooks on the local disk while the broker takes none, makes the streams and consumers of the contract
// and warns when existing ones differ.
//
// It never decides what a command means: it settles by the error that the handler returns. And it never returns nil from
// a publish that neither the stream nor, for a webhook, the disk has acknowledged.
package bus
