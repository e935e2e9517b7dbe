package ingress

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
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

// warn logs now and then a case of one kind that the operator should look at. All are counted.
func (s *Server) warn(ctx context.Context, c *cloud, kind, text string, args ...any) {
	if skipped, due := s.samples.due(c.Name+" "+kind, time.Now()); due {
		s.log.WarnContext(ctx, text, append([]any{"cloud", c.Name, "not_logged", skipped}, args...)...)
	}
}

// errorLog takes what net/http says of broken connections. A stranger's is no news, but it counts.
type errorLog struct{ s *Server }

func (e *errorLog) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("TLS handshake error")) {
		e.s.dropped(connlimit.Handshake)
	}
	e.s.log.LogAttrs(context.Background(), slog.LevelDebug, string(bytes.TrimSpace(line)))
	return len(line), nil
}
