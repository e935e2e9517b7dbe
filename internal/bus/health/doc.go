// Package health knows what went wrong with NATS and has not worked since: permissions that the server refuses, publishes that
// fail, streams that are not as they must be.
//
// In: what the connection, those who publish and the checks of the streams have met. Out: what keeps the bridge from its work,
// in all and for each cloud, and whether it is worth waiting. It repairs nothing, and asks the server only whether a refused
// permission is granted by now.
package health
