// Package contract is the published contract as an AsyncAPI document, with examples of every message.
//
// In: the table of operations and the description in internal/factro, the names and types in pkg/events, the streams as data in
// internal/bus/topology. Out: the document for a prefix, whole or for one resource. The packages below it make the JSON Schemas
// (schemas), the pages of docs/reference (reference), and comparisons with other descriptions of factro's API (compare). All of it is
// made from the table when it is first asked for, so the running bridge, the command line and the files in docs say the same, byte
// for byte.
//
// It never opens a connection and never reads a file: what the bridge speaks is known before it runs.
package contract
