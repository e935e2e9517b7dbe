// Package factro is what this project knows of factro, as data.
//
// In: openapi.yaml, the project's copy of the reconstructed description of the Core API. Out: the table of its 226
// operations, the JSON Schema of each command's data, and the few facts that are not in the description: how errors
// look, how the rate limit is announced, where the web UI shows an object.
//
// It is a leaf: it imports no other room, calls nobody and holds no state. All who need to know an operation read the
// same table: translation, validation, the simulator's routes and the command line's completion.
//
// How well a fact is known is part of the fact: Operation.Confidence says observed (a public client proved it against
// the live service), documented (derived from the vendor's document) or inferred (reasoned, never seen).
package factro

//go:generate go run ./gen
//go:generate go run ../contract/gen
