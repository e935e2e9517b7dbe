// Package embedded runs a NATS server with JetStream inside this process, and looks after it and its directory: no second
// server on the same directory, no files that JetStream did not make, and a new start when the server has stopped storing.
//
// In comes a directory and perhaps an address. Out go connections in process, and whether the server still stores. It never
// makes streams and does not know what they hold.
package embedded
