package spool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool/record"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// refusalFinalAfter is how long the broker has to refuse a message, for a reason that is in no table, until that counts as
// final.
const refusalFinalAfter = time.Minute

// deliver publishes one message, as a child of nobody: the webhook's own trace, which may be hours old, becomes a link.
func (d *drain) deliver(ctx context.Context, m *spooled) error {
	ctx, span := d.startSpan(ctx, m)
	defer span.End()
	err := d.send(ctx, m)
	if m.refusedForGood(err, d.spool.finalAfter) {
		span.SetStatus(codes.Error, "refused")
		if skipped, due := d.spool.samples.Due("refused "+d.queue.cloud, time.Now()); due {
			d.spool.log.ErrorContext(ctx, "the broker refuses a webhook of the spool for good; it becomes a dead letter",
				"cloud", d.queue.cloud, "error", err, "not_logged", skipped)
		}
		if err = d.giveUp(ctx, m, err); err == nil {
			m.dead = true
		}
	}
	d.spool.publisher.CountPublished(ctx, m.Msg.Subject, err)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		return err
	}
	m.done = true
	return nil
}

func (d *drain) startSpan(ctx context.Context, m *spooled) (context.Context, trace.Span) {
	origin := trace.SpanContextFromContext(delivery.Extract(ctx, measure.Propagator, m.Msg.Header))
	opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindProducer), trace.WithNewRoot(), trace.WithAttributes(
		semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName("publish"), semconv.MessagingOperationTypeSend,
		semconv.MessagingDestinationName(m.Msg.Subject), semconv.MessagingMessageID(m.ID),
	)}
	if origin.IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: origin}))
	}
	return d.spool.tracer.Start(ctx, "drain "+measure.Destination(m.Msg.Subject), opts...) //nolint:spancheck // deliver ends it
}

// send publishes a message as it is.
func (d *drain) send(ctx context.Context, m *spooled) error {
	tried := m.Suspect
	m.Suspect = true // from now on
	msg := &nats.Msg{Subject: m.Msg.Subject, Data: m.Msg.Data, Header: maps.Clone(m.Msg.Header)}
	if !m.Event {
		return d.spool.publisher.Send(ctx, msg, m.ID)
	}
	other, err := d.spool.publisher.SendEvent(ctx, msg, m.ID, tried)
	if other != nil {
		d.spool.bodies.Correct(m.ID, other.BodyDigest)
	}
	return err
}

// refusedForGood says whether a message is never taken as it is. Of a refusal that is in no table that is known after a
// while only.
func (m *spooled) refusedForGood(err error, after time.Duration) bool {
	switch {
	case err == nil, !natserr.Answered(err), natserr.Of(err) == natserr.Passing, natserr.Of(err) == natserr.NoRoom:
		m.refused = time.Time{}
		return false
	case publish.Permanent(err):
		return true
	case m.refused.IsZero():
		m.refused = time.Now()
	}
	return time.Since(m.refused) >= after
}

// giveUp makes a dead letter of what the broker will never take, so that it does not hold up the others.
func (d *drain) giveUp(ctx context.Context, m *spooled, reason error) error {
	dead := deadletter.RefusedWebhook(d.spool.cfg.Prefix.DeadWebhook(d.queue.cloud), m.Msg, m.ID, reason)
	err := d.spool.letters.GiveUp(ctx, dead, m.ID+".dead", true) // whole: it was answered with 202, or with the promise to keep it
	if errors.Is(err, deadletter.ErrNotKept) && d.queue.length() > 1 {
		if again := d.putBack(ctx, m); again != nil {
			return errors.Join(err, again)
		}
		m.moved = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("dead letter: %w", err)
	}
	return nil
}

// putBack writes a webhook that nothing takes to the end of the spool, so that it does not hold up those behind it.
func (d *drain) putBack(ctx context.Context, m *spooled) error {
	_, err := d.spool.write(ctx, d.queue, record.Pack(m.Msg, d.queue.cloud, m.ID, true), &d.spool.account.moved)
	return err
}
