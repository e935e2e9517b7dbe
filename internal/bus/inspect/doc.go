// Package inspect reads what there is to know of a NATS server before a bridge relies on it.
//
// In: a connection of the command line, and what the operator wants of the streams. Out: facts as plain values: the server, the
// account, each stream, the permissions that a role lacks, how far the clocks are apart; or why one of them cannot be known.
//
// It changes nothing, stores nothing, and judges nothing. It asks for a permission by a message that the server gives to nobody.
package inspect
