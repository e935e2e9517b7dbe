// Package mirror keeps a copy of factro's objects in NATS, and publishes what changes.
//
// In: the events of a cloud, each of which says that an object may have changed, and lists of all objects from time to time. Out: the
// state of each object, as factro sent it, and its changes. Of several bridges one mirrors a cloud, by a lease. It never believes what an event says about an
// object, and never writes to factro.
package mirror
