// Package disk keeps messages in a directory of this process: a JetStream server without a network, with every message on the
// disk before it is acknowledged.
//
// In come messages with the subject spool.<cloud>. Out they go again, in their order. It opens the server again when that stops
// working. It never decides what is written or removed, and never talks to another server.
package disk
