package telemetry

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// Formats of the log: JSON for programs, key=value for people.
const (
	JSON = "json"
	Text = "text"
)

// FormatFor is the chosen format; if there is none, it is text for a terminal and JSON for a file, a pipe or a socket.
func FormatFor(chosen string, out *os.File) string {
	if chosen != "" {
		return chosen
	}
	if info, err := out.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return Text
	}
	return JSON
}

// NewLogger returns a logger that adds the ids of the current trace to each line. Lines contain no control characters, and
// errors no user or password of a URL.
func NewLogger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: withoutUsers}
	if format == Text {
		return slog.New(traced{slog.NewTextHandler(Printable(w), options)})
	}
	return slog.New(traced{slog.NewJSONHandler(Printable(w), options)})
}

// withoutUsers removes users and passwords from URLs in errors, since libraries quote them.
func withoutUsers(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindAny { // as an any, it would be allocated
		return a
	}
	if err, ok := a.Value.Any().(error); ok {
		a.Value = slog.StringValue(secret.Scrub(err.Error()))
	}
	return a
}

// traced adds trace_id and span_id to each record whose context has them.
type traced struct{ slog.Handler }

// unsolicited begins the only message of the standard library's HTTP client that quotes what a server sent, which may be
// anything, including our API key.
const unsolicited = "Unsolicited response received on idle HTTP channel"

func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, unsolicited) {
		r.Message = unsolicited
	}
	if s := trace.SpanContextFromContext(ctx); s.IsValid() {
		r.AddAttrs(slog.String("trace_id", s.TraceID().String()), slog.String("span_id", s.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }

func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }
