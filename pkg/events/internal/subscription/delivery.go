package subscription

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

// Delivery is an event that is handled now.
type Delivery struct {
	// Msg is the message, in the delivery by which it came first to this handler.
	Msg *nats.Msg

	of         *Subscription
	event      *taken
	renewEvery time.Duration
}

// KeepAlive reports to the broker that the event is still in progress, until stop is called.
func (d *Delivery) KeepAlive() (stop func()) {
	return delivery.KeepAlive(d.renewEvery, func() {
		// An error is harmless: the next one may get through; else the event comes again, as it may anyway.
		_ = d.of.JS.Conn().Publish(d.of.place.last(d.event).Reply, []byte(delivery.InProgress))
	})
}

// Settle sends the verdict. The error says that it did not reach the broker, so that the event comes again.
func (d *Delivery) Settle(ctx context.Context, verdict delivery.Verdict) error {
	if verdict.Final() { // it is not to come again, even if a consumer is created again
		d.of.place.decided(d.event)
	}
	return d.of.settle(ctx, d.event, verdict)
}

// settleTimeout bounds how long a verdict waits for a broker that is away. After it the event comes again.
const settleTimeout = 10 * time.Second

// settle sends the verdict about an event, until it is about its last delivery. The verdict is out, so it is sent even if
// the subscription is to end.
func (s *Subscription) settle(ctx context.Context, event *taken, verdict delivery.Verdict) error {
	for {
		msg := s.place.last(event)
		attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
		err := delivery.Confirm(attempt, s.line, s.JS.Conn(), msg.Reply, verdict)
		cancel()
		if s.place.release(event, msg) {
			return err
		}
	}
}
