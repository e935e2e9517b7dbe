// Package ensure makes the streams and buckets of the contract, and checks them.
//
// In: a connection, and what the operator wants of the streams. Out: streams and buckets that are there, with the room that NATS has;
// what is wrong with them, for readiness and for the log; and consumers that work again after a restore.
//
// It never changes a stream that is there, except those of an older version, and never deletes one that is not its own.
package ensure
