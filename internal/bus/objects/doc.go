// Package objects reads and writes the object stores of the contract.
//
// In: a connection, the name of a file that a command refers to, an answer that no message can hold, or the original of a dead
// letter. Out: the file as it was found, and where the answer is; and the stores of originals, made where they are missing.
//
// It never follows a link, never reads another bucket than the one that is named, and leaves nothing of what it could not store whole.
package objects
