package mirror

import (
	"context"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/bus/state"
	"github.com/factro-bridge/factro-bridge/internal/diff"
	"github.com/factro-bridge/factro-bridge/internal/mirror/echo"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Results is the stream of the results of a cloud's commands.
type Results interface {
	// Read hands over the results from a time on, until ctx ends.
	Read(ctx context.Context, since time.Time, each func(event.Event)) error
}

// rememberFor is how long a command may have been carried out before its change is read.
const rememberFor = 10 * time.Minute

// followResults remembers which commands were carried out.
func (s *session) followResults(ctx context.Context) error {
	since := time.Now().Add(-rememberFor)
	for ctx.Err() == nil {
		err := s.parts.Results.Read(ctx, since, func(e event.Event) {
			since = e.Time()
			commands, err := echo.FromResult(e)
			if err != nil {
				return // it is no result of a bridge
			}
			for _, c := range commands {
				s.commands.Add(c)
			}
		})
		if ctx.Err() != nil {
			break
		}
		s.log.WarnContext(ctx, "the mirror cannot read the results of a cloud, so no change is marked as caused by a command; it tries again",
			"cloud", s.cfg.Cloud, "error", err)
		select {
		case <-time.After(againAfter):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// mark adds which command of ours has made a change, if that is known.
func (s *session) mark(k state.Known, next diff.Object, d diff.Difference, f fetched, attributes map[string]any) {
	if !k.Read.IsZero() {
		s.commands.Seen(k.Resource, k.ID, k.Read)
	}
	m, known := s.commands.Mark(k.Resource, k.ID, k.Object, next, d.Changed, f.began)
	if !known {
		return
	}
	attributes[attr.Cause], attributes[attr.Certainty] = m.Cause, string(m.Certainty)
	if m.Sender != "" {
		attributes[attr.Sender] = m.Sender
	}
}
