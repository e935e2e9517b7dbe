// Package shape checks that an answer with a status of success has the form of its operation.
//
// In: the head and the body of an answer, as a stream. Out: nothing, or an Error that says what the answer is instead: an
// HTML page, JSON that ends too early, an object without an id.
//
// It never holds more of a body than one text of it, and never judges what the answer means for a command.
package shape
