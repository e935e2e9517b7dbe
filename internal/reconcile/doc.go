// Package reconcile finds what the stream of events lacks, and mends it: it compares factro's stored payloads with the
// events of a cloud, and publishes what is missing.
//
// A record of factro's and an event are the same thing if they have the same id. Whether deliveries carry the records'
// ids is not known, so what has no partner by its id is compared by action and context, then by action and entity, then
// by action and time; each record and each event is matched at most once, the strictest rule first (see match).
//
// The reading begins before what is decided, and each run decides the last hour or so again, so records may show up late
// and in any order. One process at a time reconciles a cloud: it has a lease, and the checkpoint is the lease's value, so
// that nobody without the lease can move it.
package reconcile
