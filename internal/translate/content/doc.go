// Package content makes UTF-8 text of the body of a request or of an answer, as its headers describe it.
//
// In: the headers Content-Type and Content-Encoding, and the bytes. Out: the text, decompressed and converted, or an error that
// says which header is wrong.
//
// It never makes more bytes than the caller allows, and does not know what the text is about.
package content
