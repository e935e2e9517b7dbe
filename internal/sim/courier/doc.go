// Package courier stores the events of the simulated factro and delivers them to the registered webhooks.
//
// In: events, and the delivery settings (Delivery). Out: HTTP requests, in order for each webhook, the stored payloads, and a log of
// the attempts. Firing an event never blocks.
package courier
