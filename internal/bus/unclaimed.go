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

// Unclaimed watches for commands that wait in a stream from which nobody pulls, until ctx ends: of a cloud that was taken
// out of the configuration, or whose bridge is down or paused. A cloud that never was configured has no stream, so its
// commands are refused where they are sent.
//
// It needs the right to list all streams, which only the owner has: without Manage it returns at once.
func (b *Conn) Unclaimed(ctx context.Context) error {
	if !b.cfg.Manage {
		return nil
	}
	var waiting atomic.Int64
	gauge, err := otel.Meter(Scope).Int64ObservableGauge("factro.bridge.commands.unclaimed", metric.WithUnit("{command}"),
		metric.WithDescription("Commands in streams of clouds that are not configured here and from which nobody pulls."),
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
			if ctx.Err() == nil && !errors.Is(err, ErrNotConnected) && b.News("unclaimed", err.Error()) {
				b.log.WarnContext(ctx, "it cannot be seen whether there are commands that nobody reads", "error", err)
			}
			continue
		}
		total := uint64(0)
		for _, name := range slices.Sorted(maps.Keys(clouds)) {
			total += clouds[name]
			// Twice in a row: between two commands nobody pulls for a moment. Told once, and again only if somebody had read
			// them in between.
			if suspects[name] && b.News("unclaimed "+name, "waiting") {
				b.log.WarnContext(ctx, "commands wait for a cloud that nobody reads; was it taken out of the configuration, or is its bridge down?",
					"cloud", name, "commands", clouds[name])
			}
		}
		for name := range suspects {
			if clouds[name] == 0 {
				b.News("unclaimed "+name, "")
			}
		}
		suspects = map[string]bool{}
		for name := range clouds {
			suspects[name] = true
		}
		waiting.Store(int64(total))
	}
}

// unclaimed counts the commands in the streams of clouds that are not ours and from which nobody pulls.
func (b *Conn) unclaimed(ctx context.Context) (map[string]uint64, error) {
	if err := b.AwaitUp(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*AttemptTimeout)
	defer cancel()
	clouds := map[string]uint64{}
	kind := b.cfg.Prefix.CommandStream("")
	list := b.js.ListStreams(ctx, jetstream.WithStreamListSubject(string(b.cfg.Prefix)+".command.>"))
	for info := range list.Info() {
		name, ok := strings.CutPrefix(info.Config.Name, kind)
		if cloud := strings.ToLower(name); ok && info.State.Msgs > 0 && !slices.Contains(b.cfg.Clouds, cloud) {
			clouds[cloud] = info.State.Msgs
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("streams of commands: %w", err)
	}
	for cloud := range clouds {
		stream, err := b.js.Stream(ctx, b.cfg.Prefix.CommandStream(cloud))
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", b.cfg.Prefix.CommandStream(cloud), err)
		}
		consumers := stream.ListConsumers(ctx)
		for info := range consumers.Info() {
			if info.NumWaiting > 0 || info.NumAckPending > 0 {
				delete(clouds, cloud)
			}
		}
		if err := consumers.Err(); err != nil {
			return nil, fmt.Errorf("consumers of %s: %w", b.cfg.Prefix.CommandStream(cloud), err)
		}
	}
	return clouds, nil
}
