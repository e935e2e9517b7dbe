package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// takers are the names of the stream that is to take what is published to a subject: its own, and the one that it has until the
// streams of an older version are taken over.
func takers(p events.Prefix, subject string) []string {
	t := strings.Split(subject, ".")
	at := func(i int) string {
		if i < len(t) {
			return t[i]
		}
		return ""
	}
	switch at(1) {
	case "event":
		return []string{p.EventStream(at(2)), topology.OldName(p, "EVENTS")}
	case "command", "redrive":
		return []string{p.CommandStream(at(2)), topology.OldName(p, "COMMANDS")}
	case "result":
		return []string{p.ResultStream(at(2)), topology.OldName(p, "RESULTS")}
	default:
		return []string{p.DeadStream(at(3)), topology.OldName(p, "DEAD")}
	}
}

// nameOther adds to an error which stream takes a subject that is ours, as far as this process may ask.
func (b *Conn) nameOther(ctx context.Context, subject string, ours []string, err error) error {
	if !errors.Is(err, natserr.ErrOtherStream) || !b.cfg.Manage {
		return err
	}
	b.mu.Lock()
	known := b.others[destination(subject)]
	b.mu.Unlock()
	if time.Since(known.at) > b.lookEvery { // many publishes meet the same one
		known = other{otherOn(ctx, b.js, subject, ours...), time.Now()}
		b.mu.Lock()
		b.others[destination(subject)] = known
		b.mu.Unlock()
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

// otherOn is the name of a stream that takes a subject and is none of ours, or "". A subject is in one stream at most.
func otherOn(ctx context.Context, js jetstream.JetStream, subject string, ours ...string) string {
	ctx, cancel := context.WithTimeout(ctx, AttemptTimeout)
	defer cancel()
	names := js.StreamNames(ctx, jetstream.WithStreamListSubject(subject))
	for name := range names.Name() {
		if !slices.Contains(ours, name) {
			return name
		}
	}
	return ""
}

// overlaps is the server's code for a stream whose subjects another one has.
const overlaps = 10065

// withOther names the stream that keeps ours from being made, or from taking its subjects.
func withOther(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, err error) error {
	refused, ok := natserr.Refusal(err)
	if !ok || refused.ErrorCode != overlaps {
		return err
	}
	for _, subject := range want.Subjects {
		if name := otherOn(ctx, js, subject, want.Name); name != "" {
			return fmt.Errorf("%w: the stream %s has %s; take the subject from it, or choose another nats.prefix: %w", errTaken, name, subject, err)
		}
	}
	return err
}

var errTaken = errors.New("a stream of somebody else has its subjects")

// missingSubjects says which subjects a stream of ours has lost, and to whom. Whether the queue of commands has all of its own is
// its senders' matter, unless another stream takes them.
func missingSubjects(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, have *jetstream.StreamInfo, weSend bool) error {
	for _, subject := range want.Subjects {
		if slices.ContainsFunc(have.Config.Subjects, func(s string) bool { return covers(s, subject) }) {
			continue
		}
		if name := otherOn(ctx, js, subject, want.Name); name != "" {
			return fmt.Errorf("stream %s %w: %w: the stream %s has %s", want.Name, errUnusable, errTaken, name, subject)
		}
		if weSend {
			return fmt.Errorf("stream %s %w: it does not take %s", want.Name, errUnusable, subject)
		}
	}
	return nil
}

// covers says whether a filter takes all that another one does.
func covers(filter, other string) bool {
	f, o := strings.Split(filter, "."), strings.Split(other, ".")
	for i, token := range f {
		switch {
		case token == ">":
			return i < len(o)
		case i >= len(o) || o[i] == ">":
			return false
		case token != "*" && token != o[i]:
			return false
		}
	}
	return len(f) == len(o)
}
