package mirror

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/mirror/queue"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// readQueued reads what the queue has, one object after the other.
func (s *session) readQueued(ctx context.Context) error {
	for {
		changed := s.queue.Changed()
		w, ok := s.queue.Next(time.Now())
		if !ok {
			if err := s.await(ctx, changed); err != nil {
				return err
			}
			continue
		}
		done, err := s.listInstead(ctx, w)
		if err == nil && !done {
			err = s.read(ctx, w)
		}
		if err != nil {
			return err
		}
	}
}

// await waits until the queue has changed, or the next object is due.
func (s *session) await(ctx context.Context, changed <-chan struct{}) error {
	wait := time.Hour
	if at, ok := s.queue.Wake(); ok {
		wait = max(time.Until(at), 0)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-changed:
		return nil
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read reads an object of the queue. An error ends the session.
func (s *session) read(ctx context.Context, w queue.Work) error {
	ctx, span := s.tracer.Start(ctx, "mirror "+w.Resource, trace.WithLinks(links(w.Causes)...), trace.WithAttributes(
		attribute.String("factro.cloud", s.cfg.Cloud), attribute.String("factro.resource", w.Resource), attribute.String("factro.entity.id", w.ID)))
	defer span.End()
	f, err := s.fetch(ctx, s.resources[w.Resource], w.ID)
	outcome := "failed"
	if err == nil {
		outcome, err = s.apply(ctx, w, f, s.origin(w), true)
	}
	return s.ended(ctx, w, f, outcome, err)
}

// ended says to the queue how a reading has ended. An error ends the session.
func (s *session) ended(ctx context.Context, w queue.Work, f fetched, outcome string, err error) error {
	if err == nil {
		if again, is := isEarly(w, f, outcome); is {
			s.metrics.read(ctx, w.Resource, early)
			s.queue.Again(w.Object, again)
			return nil
		}
		s.learnDelay(ctx, w, outcome)
		s.metrics.read(ctx, w.Resource, outcome)
		s.queue.Done(w.Object)
		return nil
	}
	s.queue.Failed(w.Object, time.Now().Add(backoff(w.Failures+1, err)))
	if ctx.Err() != nil || errors.Is(err, errOver) {
		return err
	}
	span := trace.SpanFromContext(ctx)
	span.SetStatus(codes.Error, err.Error())
	s.metrics.read(ctx, w.Resource, "failed")
	s.log.WarnContext(ctx, "an object could not be mirrored; it is read again", "cloud", s.cfg.Cloud, "resource", w.Resource, "entity_id", w.ID,
		"failures", w.Failures+1, "error", err)
	return nil
}

// backoff is how long a reading that has failed waits for the next one.
func backoff(failures int, err error) time.Duration {
	d := delivery.Backoff(failures)
	if f, ok := errors.AsType[*failure](err); ok {
		d = max(d, f.again)
	}
	return d
}

// origin is why an object is read.
func (s *session) origin(w queue.Work) string {
	switch {
	case len(w.Causes) > 0:
		return change.OriginEvent
	case s.look().Complete.IsZero():
		return change.OriginSnapshot
	}
	return change.OriginVerify
}

func links(causes []queue.Cause) []trace.Link {
	var all []trace.Link
	for _, c := range causes[max(0, len(causes)-change.MostCauses):] {
		if c.Trace.IsValid() {
			all = append(all, trace.Link{SpanContext: c.Trace})
		}
	}
	return all
}
