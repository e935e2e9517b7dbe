package telemetry

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// hear has what the library says of itself go to the log, at WARN: without that it writes lines of its own, which are no JSON.
func hear(log *slog.Logger) {
	q := &quiet{next: log.Handler()}
	h := heard{quiet: q}
	otel.SetLogger(logr.FromSlogHandler(h))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		q.say(context.Background(), "telemetry reports an error", slog.String("error", secret.Scrub(hidden(err).Error())))
	}))
}

// complainEvery is how often the library may complain. While a collector is away it does so for each batch.
const complainEvery = time.Minute

// quiet says one thing a minute, and how many it has left out.
type quiet struct {
	next slog.Handler

	mu      sync.Mutex
	last    time.Time
	skipped int
}

func (q *quiet) say(ctx context.Context, message string, attrs ...slog.Attr) {
	q.mu.Lock()
	now := time.Now()
	if !q.last.IsZero() && now.Sub(q.last) < complainEvery {
		q.skipped++
		q.mu.Unlock()
		return
	}
	skipped := q.skipped
	q.last, q.skipped = now, 0
	q.mu.Unlock()
	if !q.next.Enabled(ctx, slog.LevelWarn) {
		return
	}
	r := slog.NewRecord(now, slog.LevelWarn, message, 0)
	r.AddAttrs(attrs...)
	if skipped > 0 {
		r.AddAttrs(slog.Int("not_logged", skipped))
	}
	_ = q.next.Handle(ctx, r) // there is nowhere to say so
}

// heard is the handler of the library's own log.
type heard struct {
	quiet *quiet
	attrs []slog.Attr
}

// The library's levels, in those of slog: a warning is -1, information -4, debugging -8.
const libraryWarns = slog.Level(-1)

func (h heard) Enabled(_ context.Context, level slog.Level) bool { return level >= libraryWarns }

func (h heard) Handle(ctx context.Context, r slog.Record) error {
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		// What a variable holds may be a password.
		if a.Key == "input" || a.Key == "value" {
			return true
		}
		if err, ok := a.Value.Any().(error); ok {
			a = slog.String("error", secret.Scrub(hidden(err).Error()))
		}
		attrs = append(attrs, a)
		return true
	})
	h.quiet.say(ctx, "telemetry reports: "+r.Message, attrs...)
	return nil
}

func (h heard) WithAttrs(attrs []slog.Attr) slog.Handler {
	return heard{h.quiet, slices.Concat(h.attrs, attrs)}
}

func (h heard) WithGroup(string) slog.Handler { return h }
