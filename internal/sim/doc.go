// Package sim is a simulator of factro: a stateful Core API with factro's quirks, its webhooks, and faults on demand.
//
// In: HTTP requests of the Core API below /api/core, and of the simulator's own control API below /_sim. Out: answers in
// factro's forms (JSON, text, HTML, or a cut connection), and webhook deliveries to the registered URLs.
//
// Every request is held against openapi.yaml by a library that knows nothing of our own table of operations, so that the
// simulator refuses our mistakes instead of sharing them. What is known of factro is the default; what is not known is a
// switch (Variants, Delivery); what may go wrong is a Fault. Names of webhook actions that are not proven are marked
// as invented in one table, tenant/actions.go, and nowhere else.
//
// It keeps nothing on disk unless a directory is configured, calls only the registered webhooks, and delivers nothing and sleeps
// nowhere while it holds its store. The description is parsed at the first request, not at the start.
package sim
