// Package change has the state of factro's objects and what changed, as the bridge's mirror publishes them.
//
// The state is a key-value bucket for each cloud, see [Bucket]: an entry holds an object as the Core API sent it. The changes are a
// stream for each cloud, see [Stream]: a change is an event with the fields that differ. A change is published before its state is
// written.
//
// [Get] reads one object and [Watch] follows all of a kind: first what there is, then what changes. A program that needs every change
// and what was before it uses [Subscribe]. [As] decodes an object into a type of the package payload, or any other.
//
// In: a connection to NATS with JetStream, and names. Out: states and changes. It never calls factro and never writes.
package change
