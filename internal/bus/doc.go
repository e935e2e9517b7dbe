// Package bus is the connection of a bridge to NATS.
//
// In: where NATS is, and what makes and checks the streams. Out: a connection that is made once and never given up, whether it
// is up, and its health. The packages below it do the rest: they stand under it, as its health and publishing do, or on it, and
// take the few methods that they need as interfaces of their own.
//
// It never decides what a message means, and it stores and settles none itself.
package bus
