// Package operation has the commands that call operations of the Core API through a running bridge: send and query.
//
// In: an operation and its fields as arguments. Out: a command or a query on NATS, and its result or answer. It checks the data against
// the schema first, and sends nothing that is invalid.
package operation
