// Package translate converts between forms, with pure functions.
//
// In: a webhook's body, a command's data, the Core API's answer. Out: an event, a call, a result. Time and new ids come
// from the caller, so the same input gives the same output. It does no I/O, keeps nothing but compiled schemas, and never
// changes what factro sent: an event's data is the delivered body.
package translate
