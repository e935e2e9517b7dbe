// Package topology says, as data, which streams, buckets and consumers the bridge needs at NATS, what they are called, how
// large they may become, and how they must be configured. Whoever creates them, checks them, documents them, grants rights to
// them or deletes from them walks this list, so that none is forgotten.
//
// In comes the configuration of the operator. Out go configurations of the NATS client. It never talks to a server.
package topology
