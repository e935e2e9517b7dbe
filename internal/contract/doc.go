// Package contract is the published contract as documents that machines and people can read.
//
// In: the table of operations and the description in internal/factro, the names and types in pkg/events, the streams of
// internal/bus. Out: a JSON Schema of each event's, command's, result's, query's and answer's data, the AsyncAPI document,
// and the reference pages of docs/reference. All of it is made from the table when it is first asked for, so the running
// bridge, the command line and the files in docs say the same, byte for byte.
//
// It never opens a connection and never reads a file: what the bridge speaks is known before it runs.
package contract
