// Package state keeps the mirror's copy of factro's objects in NATS.
//
// In: an object as it was read at factro. Out: its entry in the bucket of the cloud, and before that the change in the stream of
// changes, each written only if nobody else has written meanwhile. A crash between the two is seen and made good by whoever looks at the object next. It never
// asks factro, and compares only what the package diff compares.
package state
