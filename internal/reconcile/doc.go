// Package reconcile finds what is missing in the stream of events, and publishes it: it compares factro's stored payloads
// with the events of a cloud.
//
// A record of factro's and an event are the same if they have the same id. Whether deliveries carry the records' ids is not
// known, so records without a match by id are compared by action and context, then by action and entity, then by action and
// time; each record and each event is matched at most once, the strictest rule first (see match).
//
// The reading begins before the time that is decided, and each run decides the last hour or so again, so records may arrive
// late and in any order. One process at a time reconciles a cloud: it has a lease, and the checkpoint is the lease's value,
// so that only the holder can move it.
package reconcile
