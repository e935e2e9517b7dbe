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
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// refusalFinalAfter is how long the broker has to refuse a message, for a reason that is in no table, until that counts as
// final.
const refusalFinalAfter = time.Minute

// deliver publishes one message, as a child of nobody: the webhook's own trace, which may be hours old, becomes a link.
func (s *Spool) deliver(ctx context.Context, q *cloudQueue, m *spooled) error {
	ctx, span := s.startSpan(ctx, m)
	defer span.End()
	err := s.send(ctx, m)
	if m.refusedForGood(err, s.finalAfter) {
		span.SetStatus(codes.Error, "refused")
		if skipped, due := s.samples.Due("refused "+q.cloud, time.Now()); due {
			s.log.ErrorContext(ctx, "the broker refuses a webhook of the spool for good; it becomes a dead letter",
				"cloud", q.cloud, "error", err, "not_logged", skipped)
		}
		if err = s.giveUp(ctx, q, m, err); err == nil {
			m.dead = true
		}
	}
	s.publisher.CountPublished(ctx, m.msg.Subject, err)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		return err
	}
	m.done = true
	return nil
}

func (s *Spool) startSpan(ctx context.Context, m *spooled) (context.Context, trace.Span) {
	origin := trace.SpanContextFromContext(delivery.Extract(ctx, measure.Propagator, m.msg.Header))
	opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindProducer), trace.WithNewRoot(), trace.WithAttributes(
		semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName("publish"), semconv.MessagingOperationTypeSend,
		semconv.MessagingDestinationName(m.msg.Subject), semconv.MessagingMessageID(m.id),
	)}
	if origin.IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: origin}))
	}
	return s.tracer.Start(ctx, "drain "+measure.Destination(m.msg.Subject), opts...) //nolint:spancheck // deliver ends it
}

// send publishes a message as it is.
func (s *Spool) send(ctx context.Context, m *spooled) error {
	tried := m.suspect
	m.suspect = true // from now on
	msg := &nats.Msg{Subject: m.msg.Subject, Data: m.msg.Data, Header: maps.Clone(m.msg.Header)}
	if !m.event {
		return s.publisher.Send(ctx, msg, m.id)
	}
	other, err := s.publisher.SendEvent(ctx, msg, m.id, tried)
	s.bodies.correct(m.id, other)
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
func (s *Spool) giveUp(ctx context.Context, q *cloudQueue, m *spooled, reason error) error {
	dead := deadletter.RefusedWebhook(s.cfg.Prefix.DeadWebhook(q.cloud), m.msg, m.id, reason)
	err := s.letters.GiveUp(ctx, dead, m.id+".dead", true) // whole: it was answered with 202, or with the promise to keep it
	if errors.Is(err, deadletter.ErrNotKept) && q.length() > 1 {
		if again := s.putBack(ctx, q, m); again != nil {
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
func (s *Spool) putBack(ctx context.Context, q *cloudQueue, m *spooled) error {
	_, err := s.write(ctx, q, pack(m.msg, q.cloud, m.id, true), &s.account.moved)
	return err
}
