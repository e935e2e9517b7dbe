// Package events is the public contract of the bridge between factro and NATS, in Go.
//
// It holds the names (subjects, streams, types, attributes), the data of results, and the codec between CloudEvents and
// NATS messages. Events are [github.com/cloudevents/sdk-go/v2/event.Event]; the codec is this package's own, true to
// the NATS protocol binding of CloudEvents 1.0.
//
// What factro sent is what subscribers get: an event's data is the delivered body, byte for byte. Of factro's webhooks
// only two keys are proven, action and context.entityId; anything else may be there or not.
package events
