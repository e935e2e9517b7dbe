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

// http2 bounds what one connection of HTTP/2 can take. The defaults are a megabyte for a frame and one for what arrives and
// is not read yet, which with a thousand connections is more than the bridge has.
func (s *Server) http2() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: 32, MaxReadFrameSize: 16 << 10,
		MaxReceiveBufferPerConnection: 128 << 10, MaxReceiveBufferPerStream: 64 << 10,
		MaxDecoderHeaderTableSize: 4 << 10, MaxEncoderHeaderTableSize: 4 << 10,
		WriteByteTimeout: answerTimeout,
	}
}

// dropped counts a connection that was closed or refused, and now and then logs one.
func (s *Server) dropped(why connlimit.Reason) {
	ctx := context.Background() // it belongs to no request
	s.metrics.dropped.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", string(why))))
	switch why {
	case connlimit.Evicted, connlimit.EvictedAddress, connlimit.Refused:
		if skipped, due := s.samples.due("connections "+string(why), time.Now()); due {
			s.log.WarnContext(ctx, "too many connections: one was closed or refused; see http.max_connections and http.max_connections_per_address",
				"reason", why, "max", s.cfg.MaxConnections, "max_per_address", s.cfg.MaxConnectionsPerAddress, "not_logged", skipped)
		}
	default:
	}
}

// due says whether a case of a cloud and a kind is to be logged. All are counted.
func (s *Server) due(c *cloud, kind string) (skipped int, due bool) {
	return s.samples.due(c.Name+" "+kind, time.Now())
}

// errorLog takes what net/http says of broken connections, at the level debug: a stranger's is no news. But it counts.
type errorLog struct {
	slog.Handler
	s *Server
}

// Handle counts what failed before there was a request.
func (e errorLog) Handle(ctx context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "TLS handshake error") {
		e.s.dropped(connlimit.Handshake) //nolint:contextcheck // it belongs to no request
	}
	if !e.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return e.Handler.Handle(ctx, r) //nolint:wrapcheck // it is that handler
}

// Enabled says yes: what is not logged counts all the same.
func (e errorLog) Enabled(context.Context, slog.Level) bool { return true }
