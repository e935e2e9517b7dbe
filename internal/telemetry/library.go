package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// logLibrary sends the library's own messages to the log, at WARN. Otherwise it writes lines that are not JSON.
func logLibrary(log *slog.Logger) {
	q := &quiet{next: log.Handler()}
	h := libraryLog{quiet: q}
	otel.SetLogger(logr.FromSlogHandler(h))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		q.say(context.Background(), "telemetry reports an error", slog.String("error", secret.Scrub(hidden(err).Error())))
	}))
}

// complainEvery is how often the same message of the library is logged, and complainMost how many different ones in this
// time. While a collector is away the library reports each batch, and the messages may differ in a port.
const (
	complainEvery = time.Minute
	complainMost  = 10
)

// quiet logs the same message once a minute, limits the number of different ones, and adds how many it has left out.
type quiet struct {
	next slog.Handler

	mu      sync.Mutex
	began   time.Time // of the minute
	said    map[string]bool
	skipped int
}

func (q *quiet) say(ctx context.Context, message string, attrs ...slog.Attr) {
	words := fmt.Sprint(message, attrs)
	q.mu.Lock()
	now := time.Now()
	if now.Sub(q.began) >= complainEvery {
		q.began, q.said = now, map[string]bool{}
	}
	if q.said[words] || len(q.said) >= complainMost {
		q.skipped++
		q.mu.Unlock()
		return
	}
	skipped := q.skipped
	q.said[words], q.skipped = true, 0
	q.mu.Unlock()
	if !q.next.Enabled(ctx, slog.LevelWarn) {
		return
	}
	r := slog.NewRecord(now, slog.LevelWarn, message, 0)
	r.AddAttrs(attrs...)
	if skipped > 0 {
		r.AddAttrs(slog.Int("not_logged", skipped))
	}
	_ = q.next.Handle(ctx, r) // there is nowhere to report it
}

// libraryLog is the handler of the library's own log.
type libraryLog struct {
	quiet *quiet
	attrs []slog.Attr
}

// harmless are the attributes that may be logged. All others may contain the value of a variable, which may be a password:
// the library calls the part of a header that it could not read its key.
var harmless = []string{"file", "environment variable"}

// The library's levels as levels of slog: a warning is -1, information -4, debugging -8.
const libraryWarns = slog.Level(-1)

func (h libraryLog) Enabled(_ context.Context, level slog.Level) bool { return level >= libraryWarns }

func (h libraryLog) Handle(ctx context.Context, r slog.Record) error {
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			attrs = append(attrs, slog.String("error", secret.Scrub(hidden(err).Error())))
		} else if slices.Contains(harmless, a.Key) {
			attrs = append(attrs, a)
		}
		return true
	})
	h.quiet.say(ctx, "telemetry reports: "+r.Message, attrs...)
	return nil
}

func (h libraryLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return libraryLog{h.quiet, slices.Concat(h.attrs, attrs)}
}

func (h libraryLog) WithGroup(string) slog.Handler { return h }
