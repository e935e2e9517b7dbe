package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

var errHidden = errors.New("the queue of commands may not be looked at")

// Unclaimed watches for commands to clouds that no consumer reads, until ctx ends: a name that is misspelt, or a cloud
// that nobody has configured. They would wait in the queue for ever, and nobody would say so.
func (b *Bus) Unclaimed(ctx context.Context) error {
	var waiting atomic.Int64
	gauge, err := otel.Meter(scope).Int64ObservableGauge("factro.bridge.commands.unclaimed", metric.WithUnit("{command}"),
		metric.WithDescription("Commands in the stream whose cloud nobody reads."),
		metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
			if n := waiting.Load(); n >= 0 && ctx.Err() == nil {
				o.Observe(n)
			}
			return nil
		}))
	if err != nil || gauge == nil {
		return err
	}
	suspects := map[string]bool{} // unclaimed at the last look
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(b.lookEvery):
		}
		clouds, err := b.unclaimed(ctx)
		if err != nil {
			waiting.Store(-1)
			if ctx.Err() == nil && !errors.Is(err, errNotConnected) && b.isNews("unclaimed", err.Error()) {
				b.log.WarnContext(ctx, "it cannot be seen whether there are commands that nobody reads", "error", err)
			}
			continue
		}
		total := uint64(0)
		for _, name := range slices.Sorted(maps.Keys(clouds)) {
			total += clouds[name]
			// Twice in a row: at the start of a bridge its consumers come a moment after the stream. Told once, and again only
			// if somebody had read them in between.
			if suspects[name] && b.isNews("unclaimed "+name, "waiting") {
				b.log.WarnContext(ctx, "commands wait for a cloud that nobody reads; is its name right, and is it configured?",
					"cloud", name, "commands", clouds[name])
			}
		}
		for name := range suspects {
			if clouds[name] == 0 {
				b.isNews("unclaimed "+name, "")
			}
		}
		suspects = map[string]bool{}
		for name := range clouds {
			suspects[name] = true
		}
		waiting.Store(int64(total))
	}
}

// unclaimed counts the commands of the clouds that no consumer reads.
func (b *Bus) unclaimed(ctx context.Context) (map[string]uint64, error) {
	if err := b.waitUp(ctx); err != nil {
		return nil, err
	}
	if b.health.isHidden(b.cfg.Prefix.CommandStream()) {
		return nil, errHidden
	}
	ctx, cancel := context.WithTimeout(ctx, 2*attemptTimeout)
	defer cancel()
	stream, err := b.js.Stream(ctx, b.cfg.Prefix.CommandStream())
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", b.cfg.Prefix.CommandStream(), err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(">")) // commands, and those that are sent once more
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", b.cfg.Prefix.CommandStream(), err)
	}
	subjects := info.State.Subjects
	if len(subjects) == 0 {
		return nil, nil
	}
	var claims []string
	list := stream.ListConsumers(ctx)
	for info := range list.Info() {
		claims = append(claims, info.Config.FilterSubjects...)
		if info.Config.FilterSubject != "" || len(info.Config.FilterSubjects) == 0 {
			claims = append(claims, info.Config.FilterSubject)
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("consumers of %s: %w", b.cfg.Prefix.CommandStream(), err)
	}
	clouds := map[string]uint64{}
	for subject, n := range subjects {
		if !slices.ContainsFunc(claims, func(filter string) bool { return filter == "" || matches(filter, subject) }) {
			clouds[cloudOf(b.cfg.Prefix, subject)] += n
		}
	}
	return clouds, nil
}

// matches says whether a subject is one of those that a filter with wildcards means.
func matches(filter, subject string) bool {
	want, have := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range want {
		switch {
		case token == ">":
			return len(have) > i
		case i >= len(have), token != "*" && token != have[i]:
			return false
		}
	}
	return len(want) == len(have)
}
