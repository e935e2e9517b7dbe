// Package canary sends test messages through a running bridge in both directions and reports what arrives.
//
// In: a connection to NATS, the address of the bridge's webhooks, and one of the webhook secrets. Out: a Report with an outcome for
// each leg. It prints nothing, changes nothing at factro, and never sends the secret to the target of a redirect.
package canary
