// Package contract has the commands that print and compare the contract: operations, schemas, the AsyncAPI document, and factro's own
// description of its API.
//
// In: names, and files from elsewhere. Out: text. It needs no connection.
package contract
