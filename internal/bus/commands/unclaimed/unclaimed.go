package unclaimed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
)

// Streams is what Watch needs of the connection.
type Streams interface {
	JetStream() jetstream.JetStream
	Settings() bus.Config
	AwaitUp(ctx context.Context) error
}

// checkEvery is how often the streams are checked for commands that nobody reads.
const checkEvery = 10 * time.Second

// Watch watches for commands that wait in a stream from which nobody pulls, until ctx ends: of a cloud that was removed
// from the configuration, or whose bridge is down or paused. A cloud that never was configured has no stream, so its
// commands are refused where they are sent.
//
// It needs the right to list all streams, which only the owner has: without Manage it returns at once.
func Watch(ctx context.Context, conn Streams, log *slog.Logger) error {
	return watch(ctx, conn, log, checkEvery)
}

func watch(ctx context.Context, conn Streams, log *slog.Logger, every time.Duration) error {
	if !conn.Settings().Manage {
		return nil
	}
	w := &watcher{conn: conn, log: log, suspects: map[string]bool{}, reported: map[string]bool{}}
	b := instrument.New(measure.Scope)
	gauge := b.Gauge("factro.bridge.commands.unclaimed", "{command}",
		"Commands in streams of clouds that are not configured here and from which nobody pulls.")
	observed := b.Observe(func(_ context.Context, o metric.Observer) error {
		if n := w.waiting.Load(); n >= 0 {
			o.ObserveInt64(gauge, n)
		}
		return nil
	})
	if err := b.Err(); err != nil {
		return err
	}
	defer func() { _ = observed.Unregister() }() // an error says that it is not registered any more
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
			w.check(ctx)
		}
	}
}

// watcher is what is known of commands that nobody reads.
type watcher struct {
	conn     Streams
	log      *slog.Logger
	waiting  atomic.Int64    // the commands, or -1 if that is not known
	suspects map[string]bool // the clouds of the last check
	reported map[string]bool // those of the log
	failed   string          // the last error that was logged
}

// check counts, and logs what is new.
func (w *watcher) check(ctx context.Context) {
	clouds, err := w.count(ctx)
	if err != nil {
		w.waiting.Store(-1)
		if ctx.Err() == nil && !errors.Is(err, bus.ErrNotConnected) && w.failed != err.Error() {
			w.failed = err.Error()
			w.log.WarnContext(ctx, "it cannot be seen whether there are commands that nobody reads", "error", err)
		}
		return
	}
	total := uint64(0)
	for _, name := range slices.Sorted(maps.Keys(clouds)) {
		total += clouds[name]
		// Two checks in a row: between two commands nobody pulls for a moment. Logged once, and again only if somebody had read
		// them in between.
		if w.suspects[name] && !w.reported[name] {
			w.reported[name] = true
			w.log.WarnContext(ctx, "commands wait for a cloud that nobody reads; was it taken out of the configuration, or is its bridge down?",
				"cloud", name, "commands", clouds[name])
		}
	}
	maps.DeleteFunc(w.reported, func(name string, _ bool) bool { return clouds[name] == 0 })
	w.suspects = map[string]bool{}
	for name := range clouds {
		w.suspects[name] = true
	}
	w.waiting.Store(int64(total))
}

// count counts the commands in the streams of clouds that are not ours and from which nobody pulls.
func (w *watcher) count(ctx context.Context) (map[string]uint64, error) {
	if err := w.conn.AwaitUp(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*bus.AttemptTimeout)
	defer cancel()
	cfg, js := w.conn.Settings(), w.conn.JetStream()
	clouds := map[string]uint64{}
	list := js.ListStreams(ctx, jetstream.WithStreamListSubject(string(cfg.Prefix)+".command.>"))
	for info := range list.Info() {
		name, ok := strings.CutPrefix(info.Config.Name, cfg.Prefix.CommandStream(""))
		if cloud := strings.ToLower(name); ok && info.State.Msgs > 0 && !slices.Contains(cfg.Clouds, cloud) {
			clouds[cloud] = info.State.Msgs
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("streams of commands: %w", err)
	}
	for cloud := range clouds {
		stream, err := js.Stream(ctx, cfg.Prefix.CommandStream(cloud))
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", cfg.Prefix.CommandStream(cloud), err)
		}
		consumers := stream.ListConsumers(ctx)
		for info := range consumers.Info() {
			if info.NumWaiting > 0 || info.NumAckPending > 0 {
				delete(clouds, cloud)
			}
		}
		if err := consumers.Err(); err != nil {
			return nil, fmt.Errorf("consumers of %s: %w", cfg.Prefix.CommandStream(cloud), err)
		}
	}
	return clouds, nil
}
