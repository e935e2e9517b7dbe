// Package persist stores what must not be lost: while the bridge stops, while NATS is away, and where the broker takes only less.
//
// In: the contexts of a delivery, writes, and what the ledger has to offer. Out: whether the writes were stored. It knows no state of a
// command, and never repeats a call to factro.
package persist
