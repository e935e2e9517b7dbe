package client

import (
	"context"
	"fmt"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// PublishEvent stores an event, under an id that makes repeating it harmless.
func (c *Client) PublishEvent(ctx context.Context, p events.Prefix, subject string, e event.Event, id string) error {
	msg, err := events.ToMsg(subject, e)
	if err != nil {
		return fmt.Errorf("publish to %s: %w", subject, err)
	}
	measure.Propagator.Inject(ctx, delivery.Header(msg.Header))
	msg.Header[events.HeaderMessageID] = []string{percent.Encode(id)}
	ack, err := c.PublishAcked(ctx, p, msg)
	if err != nil || !ack.Duplicate {
		return err
	}
	if reason, _ := publish.SameEvent(ctx, c.cfg, c.js, ack, msg); reason == publish.Repetition {
		return nil
	}
	// The stream has another event under this id. Without an id of its own this one would be lost.
	again, id := publish.WithOwnID(msg, id)
	again.Header[events.HeaderMessageID] = []string{percent.Encode(id)}
	_, err = c.PublishAcked(ctx, p, again)
	return err
}

// PublishAcked stores a message in the stream that takes its subject, and returns the acknowledgement.
func (c *Client) PublishAcked(ctx context.Context, p events.Prefix, msg *nats.Msg) (ack *jetstream.PubAck, _ error) {
	ctx, cancel := context.WithTimeout(ctx, publish.Attempts*dial.AttemptTimeout)
	defer cancel()
	streams := publish.Takers(p, msg.Subject)
	natserr.Expect(msg, streams[0])
	err := natserr.CheckHeader(msg.Header)
	if err == nil {
		ack, err = natserr.Publish(ctx, c.js, msg, streams...)
	}
	switch {
	case err == nil:
		return ack, nil
	case natserr.Of(err) == natserr.Permanent:
		return nil, publish.Refused(msg, err, c.nc.MaxPayload())
	}
	return nil, fmt.Errorf("publish to %s: %w", msg.Subject, natserr.WithHelp(err))
}
