// Package canary sends something through a running bridge in both directions and reports what arrives.
//
// In: a connection to NATS, and the address of the bridge's webhooks with one of its secrets. Out: a Report with an outcome for
// each leg. It prints nothing, it changes nothing at factro, and it never follows a redirect with the secret.
package canary
