// Package sim is a simulator of factro: a stateful Core API with factro's quirks, its webhooks, and faults on demand.
//
// In: HTTP requests of the Core API below /api/core, and of the simulator's own control API below /_sim. Out: answers in
// factro's forms (JSON, text, HTML, or a cut connection), and webhook deliveries to the registered URLs.
//
// A library validates every request against openapi.yaml. The library does not use our own table of operations, so the simulator
// detects mistakes in that table. Known behavior of factro is the default, unknown behavior is a setting (Variants, Delivery), and
// failures are Faults. Only the table in tenant/actions.go says which names of webhook actions are invented.
//
// It writes to disk only if a directory is configured, and calls only the registered webhooks. It never delivers or sleeps while it
// holds the lock of its store. The description is parsed at the first request, not at the start.
package sim
