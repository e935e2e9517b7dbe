// Package schemas has the JSON Schemas of the contract: of the data of each event, command, result, query and answer.
//
// In: the description in internal/factro and the types in pkg/events. Out: a schema as a document of draft 2020-12 that refers to
// nothing outside of itself, and the same as parts for other documents. It judges nothing: validators do.
package schemas
