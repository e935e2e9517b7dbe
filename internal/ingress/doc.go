// Package ingress receives factro's webhooks.
//
// In: HTTP requests at /webhooks/{cloud}. Out: events for the store, and an answer, which is 202 only after the store has
// confirmed that the event is durable. It limits what a sender can cost: size, time, concurrent requests, wrong secrets.
//
// It never calls factro, never knows what an action means, and never puts a secret or a body into a log, a span or an
// answer.
package ingress
