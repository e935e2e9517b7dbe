package events

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

// SetPatience changes how long Do relies on the copy of the result.
func (c *Client) SetPatience(d time.Duration) { c.patience = d }

// LookEvery changes how often a subscription with many events in flight asks how far its consumer is.
func LookEvery(d time.Duration) SubscribeOption { return func(s *subscription) { s.lookEvery = d } }

// Extract continues the trace of a message.
func Extract(ctx context.Context, header nats.Header) context.Context {
	return delivery.Extract(ctx, propagator, header)
}
