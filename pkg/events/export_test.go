package events

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/tracing"
)

// SetPatience changes how long Do relies on the copy of the result.
func (c *Client) SetPatience(d time.Duration) { c.patience = d }

// SyncEvery changes how often a subscription with many events in flight asks how far its consumer is.
func SyncEvery(d time.Duration) SubscribeOption { return func(s *subscriber) { s.SyncEvery = d } }

// Extract continues the trace of a message.
func Extract(ctx context.Context, header nats.Header) context.Context {
	return delivery.Extract(ctx, tracing.Propagator, header)
}
