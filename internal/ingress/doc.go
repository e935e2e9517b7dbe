// Package ingress takes factro's webhooks.
//
// In: HTTP requests at /webhooks/{cloud}. Out: events for the store, and an answer that is 202 only once the store has said
// that the event is durable. It bounds what a sender can cost: size, time, requests at once, wrong secrets.
//
// It never calls factro, never knows what an action means, and never lets a secret or a body into a log, a span or an
// answer.
package ingress
