// Package courier stores the events of the simulated factro and delivers them to the registered webhooks.
//
// In: events, and how they are delivered (Delivery). Out: HTTP requests, each webhook's in order, the stored payloads, and a log of
// the attempts. To fire an event never blocks.
package courier
