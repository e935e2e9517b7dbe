package bus

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// What the connection of the command line shares with that of a bridge.

// Refusal is a permission that the server has refused.
type Refusal struct {
	Publish bool // else it is a subscription
	Subject string
	Err     error
}

// MostRefused bounds what is remembered of refused permissions.
const MostRefused = mostRefused

// ReadRefusal reads how the server tells of a refused permission.
func ReadRefusal(err error) Refusal {
	r := readRefusal(err)
	return Refusal{r.publish, r.subject, r.err}
}

// Takers are the names of the stream that is to take what is published to a subject.
func Takers(p events.Prefix, subject string) []string { return takers(p, subject) }

// RefusedFor is the error of a message that the broker does not take for good.
func RefusedFor(msg *nats.Msg, err error, most int64) error { return refusedFor(msg, err, most) }

// IsRepeated says whether the message that a stream has under an id is the same event as ours.
func IsRepeated(ctx context.Context, cfg Config, js jetstream.JetStream, ack *jetstream.PubAck, ours *nats.Msg) bool {
	reason, _ := sameEvent(ctx, cfg, js, ack, ours)
	return reason == dupRepetition
}

// WithOwnID is a message of an event with an id of its own, and its message id.
func WithOwnID(msg *nats.Msg, id string) (*nats.Msg, string) { return withOwnID(msg, id) }
