package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// Takers are the names of the stream that is to take what is published to a subject: its own, and the one that it has until the
// streams of an older version are taken over.
func Takers(p events.Prefix, subject string) []string {
	at := func(i int) string { return topology.SubjectToken(subject, i) }
	switch at(1) {
	case "event":
		return []string{p.EventStream(at(2)), topology.OldName(p, "EVENTS")}
	case "command", "redrive":
		return []string{p.CommandStream(at(2)), topology.OldName(p, "COMMANDS")}
	case "result":
		return []string{p.ResultStream(at(2)), topology.OldName(p, "RESULTS")}
	case "change":
		return []string{change.Stream(p, at(2))}
	default:
		return []string{p.DeadStream(at(3)), topology.OldName(p, "DEAD")}
	}
}

// nameOther adds to an error which stream takes a subject that is ours, as far as this process may ask.
func (p *Publisher) nameOther(ctx context.Context, subject string, ours []string, err error) error {
	if !errors.Is(err, natserr.ErrOtherStream) || !p.cfg.Manage {
		return err
	}
	p.mu.Lock()
	known := p.others[health.Destination(subject)]
	p.mu.Unlock()
	if time.Since(known.at) > p.conn.CheckEvery() { // many publishes meet the same one
		known = other{OtherOn(ctx, p.conn.JetStream(), subject, ours...), time.Now()}
		p.mu.Lock()
		p.others[health.Destination(subject)] = known
		p.mu.Unlock()
	}
	if known.name != "" {
		return fmt.Errorf("the stream %s: %w", known.name, err)
	}
	return err
}

// other is a stream that takes a subject of ours.
type other struct {
	name string
	at   time.Time // when it was asked for
}

// OtherOn is the name of a stream that takes a subject and is none of ours, or "". A subject is in one stream at most.
func OtherOn(ctx context.Context, js jetstream.JetStream, subject string, ours ...string) string {
	ctx, cancel := context.WithTimeout(ctx, dial.AttemptTimeout)
	defer cancel()
	names := js.StreamNames(ctx, jetstream.WithStreamListSubject(subject))
	for name := range names.Name() {
		if !slices.Contains(ours, name) {
			return name
		}
	}
	return ""
}
