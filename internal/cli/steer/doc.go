// Package steer has the commands by which operators steer running bridges: pause, resume, pauses and purge.
//
// In: the command line. Out: what changed, for people or as JSON. The work is done by the bridges, which follow what is written
// here, or by the packages for NATS.
package steer
