// Package embedded runs a NATS server with JetStream inside this process, and protects it and its directory: no second
// server on the same directory, no files that JetStream did not make, and a restart when the server has stopped storing.
//
// In: a directory and an optional address. Out: in-process connections, and whether the server still stores. It never
// creates streams and does not know what they hold.
package embedded
