package journal

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
)

// From is where a reading begins.
type From struct {
	sequence uint64
	time     time.Time
	next     bool
}

// Beginning is the first message that the stream has.
func Beginning() From { return From{} }

// At is the first message with this sequence or a later one.
func At(sequence uint64) From { return From{sequence: sequence} }

// Since is the first message that the stream took at this time or later.
func Since(t time.Time) From { return From{time: t} }

// Next is what the stream takes from now on.
func Next() From { return From{next: true} }

// To is where a reading ends.
type To struct {
	endless  bool
	sequence uint64
}

// Present is the last message that the stream has when the reading begins.
func Present() To { return To{} }

// Through is the last message with this sequence or an earlier one, or the present end of the stream if that comes first.
func Through(sequence uint64) To { return To{sequence: sequence} }

// Endless waits for more until its context ends.
func Endless() To { return To{endless: true} }

// consumer is the configuration of the consumer that begins there.
func (f From) consumer(ctx context.Context, js jetstream.JetStream, stream string) (jetstream.OrderedConsumerConfig, error) {
	cfg := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}
	if f.next {
		next, err := nextSequence(ctx, js, stream)
		if err != nil {
			return cfg, err
		}
		cfg.DeliverPolicy = jetstream.DeliverNewPolicy
		f.sequence = next
	}
	switch {
	case f.sequence > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, f.sequence
	case !f.time.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &f.time
	}
	return cfg, nil
}

// nextSequence is the sequence of the next message of a stream, or 0 if the user may not ask for it. The client makes an ordered
// consumer again after an outage. If nothing had come by then, "new" would leave out what came meanwhile.
func nextSequence(ctx context.Context, js jetstream.JetStream, stream string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return 0, err
	case err != nil:
		return 0, nil //nolint:nilerr // a request without permission gets no answer; making the consumer tells what else is wrong
	}
	return s.CachedInfo().State.LastSeq + 1, nil
}
