// Package reference makes the pages of docs/reference.
//
// In: the table of operations, the schemas and the streams as data. Out: Markdown by file name, and the AsyncAPI document. It writes
// no file.
package reference
