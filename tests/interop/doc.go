// Package interop has the bridge talk with programs that others wrote: the NATS module of the CloudEvents SDK, plain
// Node scripts with the npm packages of NATS and CloudEvents, the stock nats command, and the parser of the AsyncAPI
// initiative. What our own codec writes and reads is right if strangers agree.
//
// It is a module of its own, so that none of these is a dependency of the bridge. The bridge is the built binary, NATS
// a real server, and factro the simulator.
package interop
