// Package upload writes the body of a request that sends one file.
//
// In: a request, the name and the content type of the file, and its content as a stream. Out: a multipart body that is written
// while it is sent, and what went wrong with the content.
//
// It never holds the content in memory, and never ends a body whose content has another size than announced.
package upload
