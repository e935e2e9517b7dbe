package ingress

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/connlimit"
)

// Why a secret is not accepted.
const (
	secretAbsent   = "secret_absent"
	secretTwice    = "secret_twice" // several that differ
	secretWrong    = "secret_wrong"
	secretUnusable = "secret_unusable" // none of the configured secrets can be read
)

var secretReasons = []string{secretAbsent, secretTwice, secretWrong, secretUnusable}

func refusedOption(cloud, reason string) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("factro.cloud", cloud), attribute.String("reason", reason))
}

// Refusal is a request that was refused, without anything from it that could be a secret.
type Refusal struct {
	Status       int
	Reason       string // the metric's label
	Detail       string // the answer's sentence
	Method, Path string
}

// refused counts a refused request and logs a sample: a mistyped secret or path shows here and nowhere else. cloud is a configured one, or "unknown".
func (s *Server) refused(ctx context.Context, cloud string, a answer, r *http.Request) {
	s.metrics.refusals.Add(ctx, 1, refusedOption(cloud, a.reason()))
	if s.cfg.OnRefused != nil {
		s.cfg.OnRefused(Refusal{a.status, a.reason(), printable(a.detail), method(r.Method), s.shownPath(r.URL.Path)})
		return
	}
	switch a.outcome {
	case redirected.outcome, unusable.outcome, unsupported.outcome, notStored.outcome, ourMistake.outcome:
		return // already logged with more detail where it was refused
	}
	skipped, due := s.samples.Due(cloud+" refused "+a.reason(), time.Now())
	if !due {
		return
	}
	s.log.WarnContext(ctx, "a request to the webhook server was refused", "cloud", cloud, "reason", a.reason(), "status", a.status,
		"method", method(r.Method), "path", s.shownPath(r.URL.Path), "address", connlimit.AddressOf(r.RemoteAddr), "not_logged", skipped)
}

// shownPath is a path for the log, unless it contains a secret.
func (s *Server) shownPath(path string) string {
	if s.holdsSecret([]string{path}) || len(segments(path)) > 4 || len(path) > 200 {
		return "(not shown)"
	}
	return printable(path)
}

// dropped counts a connection that was closed or refused, and logs a sample.
func (s *Server) dropped(why connlimit.Reason) {
	ctx := context.Background() // there is no request
	s.metrics.dropped.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", string(why))))
	switch why {
	case connlimit.Handshake, connlimit.HTTP2, connlimit.Expired: // errorLog reports the first two; silent connections are normal
		return
	default:
	}
	skipped, due := s.samples.Due("connections "+string(why), time.Now())
	if !due {
		return
	}
	switch why {
	case connlimit.NoRequest:
		s.log.WarnContext(ctx, "a connection sent no request: its header was malformed, far larger than http.max_header, or not complete in time",
			"reason", why, "max_header", s.cfg.MaxHeader, "not_logged", skipped)
	case connlimit.Flooded:
		s.log.WarnContext(ctx, "a connection sent request after request without a right secret, and was closed", "reason", why, "not_logged", skipped)
	default:
		s.log.WarnContext(ctx, "too many connections: one was closed or refused; see http.max_connections and http.max_connections_per_address",
			"reason", why, "max", s.cfg.MaxConnections, "max_per_address", s.cfg.MaxConnectionsPerAddress, "not_logged", skipped)
	}
}

// errorLog logs net/http's messages about broken connections at debug level. Its messages about handshakes and HTTP/2 are
// the only trace of connections that never became a request, so they are counted, and a sample becomes a warning.
type errorLog struct {
	slog.Handler
	s *Server
}

// Handle counts what failed before there was a request.
func (e errorLog) Handle(ctx context.Context, r slog.Record) error {
	kind := ""
	switch {
	case strings.Contains(r.Message, "TLS handshake error"):
		e.s.dropped(connlimit.Handshake) //nolint:contextcheck // there is no request
		kind = "tls"
		if strings.HasSuffix(strings.TrimSpace(r.Message), "EOF") { // a load balancer's health check
			kind = ""
		}
	case strings.HasPrefix(r.Message, "http2:"):
		e.s.dropped(connlimit.HTTP2) //nolint:contextcheck // there is no request
		kind = "http2"
	case strings.Contains(r.Message, "Accept error"):
		kind = "accept"
	}
	if kind != "" {
		if skipped, due := e.s.samples.Due("failed "+kind, time.Now()); due {
			e.s.log.WarnContext(ctx, "a connection to the webhook server failed before a request", "reason", kind,
				"error", printable(strings.TrimSpace(r.Message)), "not_logged", skipped)
			return nil
		}
	}
	if !e.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return e.Handler.Handle(ctx, r) //nolint:wrapcheck // it is the handler's own error
}

// Enabled returns true: messages that are not logged are still counted.
func (e errorLog) Enabled(context.Context, slog.Level) bool { return true }
