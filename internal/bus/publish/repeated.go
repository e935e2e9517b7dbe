package publish

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// The id in a webhook's body need not be a delivery's: it may name the webhook or the task. The stream takes every message
// with an id that it knows for a repetition, and drops it. So its answer is checked: what has the same id and another body is
// another event, which gets an id of its own, made of its id and of its body.

// acknowledged is the answer of a stream to a message.
type acknowledged struct {
	*jetstream.PubAck
	attempt int // that it answers; an earlier one may have stored the message
}

// Reasons why a stream has a message already.
const (
	dupRetry     = "retry"      // we have sent it before, and did not hear that it was stored
	Repetition   = "repetition" // somebody has sent the same once more
	dupOtherBody = "other_body" // the id is that of a message with another body
	dupUnread    = "unread"     // what is stored could not be read
)

const otherBody = "the id of an event is that of another event with another body; it is stored under an id of its own"

var dupReasons = []string{dupRetry, Repetition, dupOtherBody, dupUnread}

func dupOption(destination, reason string) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("destination", destination), attribute.String("reason", reason))
}

// repeated counts and logs that a stream has dropped a message, for whatever reason.
func (p *Publisher) repeated(ctx context.Context, subject, reason string, ack acknowledged) {
	p.metrics.duplicates.Add(ctx, 1, dupOption(measure.Destination(subject), reason))
	args := []any{"subject", subject, "stream", ack.Stream, "sequence", ack.Sequence, "reason", reason}
	switch skipped, due := p.samples.Due(measure.Destination(subject)+" "+reason, time.Now()); {
	case reason == dupRetry, !due:
		p.log.DebugContext(ctx, "the stream has this message already", args...)
	case reason == Repetition:
		p.log.InfoContext(ctx, "the stream has this message already, so it is not stored twice", append(args, "not_logged", skipped)...)
	case reason == dupOtherBody:
		p.log.WarnContext(ctx, otherBody,
			append(args, "not_logged", skipped)...)
	default:
		p.log.WarnContext(ctx, "the stream has an event of this id, which cannot be read; it is stored under an id of its own, perhaps twice",
			append(args, "not_logged", skipped)...)
	}
}

// OtherEvent is what the stream has under the id of an event, which therefore got an id of its own.
type OtherEvent struct {
	// BodyDigest is that of its body, or "" if that is not known.
	BodyDigest string
}

// SendEvent publishes the message of an event. If its id is that of another event, the message gets an id of its own, and
// that other event is returned. tried says that the stream may have it already.
func (p *Publisher) SendEvent(ctx context.Context, msg *nats.Msg, id string, tried bool) (*OtherEvent, error) {
	ack, err := p.sendAcked(ctx, msg, id)
	if err != nil || !ack.Duplicate {
		return nil, err
	}
	reason, other := SameEvent(ctx, p.cfg, p.conn.JetStream(), ack.PubAck, msg)
	if reason == Repetition && (tried || ack.attempt > 1) {
		reason = dupRetry
	}
	p.repeated(ctx, msg.Subject, reason, ack)
	if reason == dupRetry || reason == Repetition {
		return nil, nil
	}
	again, id := WithOwnID(msg, id)
	ack, err = p.sendAcked(ctx, again, id)
	if err == nil && ack.Duplicate { // its digest is part of the id, so this is the same body
		p.repeated(ctx, msg.Subject, Repetition, ack)
	}
	return &other, err
}

// WithOwnID is a message of an event with an id of its own, and its message id.
func WithOwnID(msg *nats.Msg, id string) (*nats.Msg, string) {
	again := &nats.Msg{Subject: msg.Subject, Data: msg.Data, Header: maps.Clone(msg.Header)}
	const name = "ce-id"
	if eventID, err := events.DecodeHeader(delivery.Header(msg.Header).Get(name)); err == nil {
		again.Header[name] = []string{percent.Encode(identity.OwnID(eventID, msg.Data))}
	}
	return again, identity.OwnID(id, msg.Data)
}

// Reading what the stream has: a replica may be behind its leader for a moment.
const compareAttempts, comparePause = 4, 50 * time.Millisecond

// SameEvent says whether the message that a stream has under an id is the same event as ours, and else which one it is.
func SameEvent(ctx context.Context, cfg dial.Config, js jetstream.JetStream, ack *jetstream.PubAck, ours *nats.Msg) (reason string, other OtherEvent) {
	var have *jetstream.RawStreamMsg
	var err error
	for attempt := 1; attempt <= compareAttempts; attempt++ {
		have, err = stored.Get(ctx, cfg, js, ack.Stream, ack.Sequence, "")
		if err == nil || !errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		select {
		case <-time.After(comparePause):
		case <-ctx.Done():
		}
	}
	switch {
	case err != nil:
		return dupUnread, other
	case bytes.Equal(withoutMark(have.Data), withoutMark(ours.Data)), sameHappening(have, ours):
		return Repetition, other
	}
	if delivery.Header(have.Header).Get("ce-"+attr.Origin) != originReconcile { // a record is not the body of its webhook
		other.BodyDigest = identity.BodyDigest(withoutMark(have.Data))
	}
	return dupOtherBody, other
}

// withoutMark is data without the byte order mark that older bridges kept.
func withoutMark(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) }

// sameHappening says whether one of two messages of the same id is factro's record of the other: that holds more than the
// webhook did. They are about the same, and were made at the same time, as far as both tell when.
func sameHappening(have *jetstream.RawStreamMsg, ours *nats.Msg) bool {
	theirs, mine := delivery.Header(have.Header), delivery.Header(ours.Header)
	origin := "ce-" + attr.Origin
	if have.Subject != ours.Subject || theirs.Get(origin) != originReconcile && mine.Get(origin) != originReconcile {
		return false
	}
	tells := func(h delivery.Header) bool { return h.Get("ce-time") != h.Get("ce-"+attr.RecordedTime) }
	return !tells(theirs) || !tells(mine) || theirs.Get("ce-time") == mine.Get("ce-time")
}

// originReconcile is the attribute factroorigin of an event that was made of factro's record.
const originReconcile = "reconcile"

// ReportOtherBody counts and logs that an event gets an id of its own before it is sent: another one with its id, and with
// another body, was there before.
func (p *Publisher) ReportOtherBody(ctx context.Context, subject string) {
	p.metrics.duplicates.Add(ctx, 1, dupOption(measure.Destination(subject), dupOtherBody))
	if skipped, due := p.samples.Due(measure.Destination(subject)+" "+dupOtherBody, time.Now()); due {
		p.log.WarnContext(ctx, otherBody, "subject", subject, "reason", dupOtherBody, "not_logged", skipped)
	}
}
