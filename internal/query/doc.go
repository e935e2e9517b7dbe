// Package query answers the queries of one factro cloud.
//
// In: queries from the bus, any number at once. Out: for each the answer of the Core API, in the message or on the store for
// large ones, or an error with the time when it is worth asking again. Equal queries that wait together are one call.
//
// A query that says how old its answer may be is answered from the mirror's copy, if that is as new, and factro is not asked.
//
// It never keeps an answer for later, and never takes a place in the request budget that a command needs.
package query
