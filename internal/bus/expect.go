package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Expectation waits for what a stream gets on one subject.
type Expectation struct {
	client *Client
	stream string
	it     jetstream.MessagesContext
}

// Expect begins to read one subject of a stream, from its beginning. So whatever is sent to a subject that nobody used
// before is not missed, and no clocks are compared. Stop releases what it holds.
//
// It needs the right to publish to $JS.API.CONSUMER.CREATE.<stream>.*.<subject> and $JS.API.CONSUMER.MSG.NEXT.<stream>.*.
func (c *Client) Expect(ctx context.Context, stream, subject string) (*Expectation, error) {
	e := &Expectation{client: c, stream: stream}
	setup, cancel := context.WithTimeout(ctx, 5*time.Second) // a request that is refused is never answered
	defer cancel()
	consumer, err := c.js.OrderedConsumer(setup, stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subject}, DeliverPolicy: jetstream.DeliverAllPolicy, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return nil, e.why(fmt.Errorf("read stream %s: %w", stream, err))
	}
	it, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	e.it = it
	return e, nil
}

// Next waits for the next message, as long as ctx allows.
func (e *Expectation) Next(ctx context.Context) (Message, error) {
	for {
		msg, err := e.it.Next(jetstream.NextContext(ctx))
		switch {
		case ctx.Err() != nil:
			return Message{}, e.why(ctx.Err()) // a refused request looks like a message that does not come
		case errors.Is(err, jetstream.ErrNoHeartbeat): // it makes itself anew
			continue
		case err != nil:
			return Message{}, e.why(fmt.Errorf("read stream %s: %w", e.stream, err))
		}
		at := time.Time{}
		if meta, err := msg.Metadata(); err == nil {
			at = meta.Timestamp
		}
		return newMessage(msg.Subject(), msg.Headers(), msg.Data(), at), nil
	}
}

// Stop ends the reading. The broker forgets the consumer in its own time.
func (e *Expectation) Stop() { e.it.Stop() }

func (e *Expectation) why(err error) error {
	return e.client.Why(err, "$JS.API.CONSUMER.CREATE."+e.stream+".", "$JS.API.CONSUMER.MSG.NEXT."+e.stream+".")
}
