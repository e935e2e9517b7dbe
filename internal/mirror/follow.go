package mirror

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/mirror/queue"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Events is the stream of a cloud's events.
type Events interface {
	// End is the place of the last event, and when the stream was made.
	End(ctx context.Context) (last uint64, created time.Time, err error)
	// Read hands over the events from a place on, until ctx ends.
	Read(ctx context.Context, from uint64, each func(Event) error) error
}

// Event is an event in its stream.
type Event struct {
	Sequence uint64
	// Subject is its subject, ID its id.
	Subject, ID string
	Trace       trace.SpanContext
	// Stored is when the stream took it.
	Stored time.Time
}

// follow puts the objects of all events into the queue.
func (s *session) follow(ctx context.Context) error {
	for ctx.Err() == nil {
		from := s.queue.Covered() + 1
		err := s.parts.Events.Read(ctx, from, func(e Event) error { return s.take(ctx, e) })
		if ctx.Err() != nil {
			break
		}
		s.log.WarnContext(ctx, "the mirror cannot read the events of a cloud; it tries again", "cloud", s.cfg.Cloud, "error", err)
		select {
		case <-time.After(againAfter):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// take queues the object of an event. The events of the bridge itself, and those of what is not mirrored, concern none.
func (s *session) take(ctx context.Context, e Event) error {
	a, err := s.cfg.Prefix.ParseEvent(e.Subject)
	_, mirrored := s.resources[a.Resource]
	if err != nil || !mirrored || !named(a.ID) {
		s.queue.Skip(e.Sequence)
		return nil //nolint:nilerr // what is no event of an object concerns none
	}
	o := queue.Object{Resource: a.Resource, ID: a.ID}
	now := time.Now()
	c := queue.Cause{ID: e.ID, Action: a.Action, Trace: e.Trace, Sequence: e.Sequence, At: e.Stored, Certain: s.certain(e.Stored, now)}
	if err := s.queue.Add(ctx, o, c, now.Add(s.delay())); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	return nil
}

// named says whether an id can be the token of a subject and a key.
func named(id string) bool { return id != "" && id != events.Token("") && events.Token(id) == id }
