// Package change has the state of factro's objects and what changed, as the bridge's mirror publishes them.
//
// The state is a key-value bucket for each cloud, see [Bucket]: an entry holds an object as the Core API sent it. The changes are a
// stream for each cloud, see [Stream]: a change is an event with the fields that differ.
package change
