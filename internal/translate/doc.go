// Package translate turns one form into another, purely.
//
// In: a webhook's body, a command's data, the Core API's answer. Out: an event, a call, a result. Time and new ids are
// given from outside, so the same input gives the same output. It calls nobody, keeps nothing but compiled schemas, and
// never changes what factro sent: an event's data is the delivered body.
package translate
