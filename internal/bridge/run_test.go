package bridge

import (
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// TestRunConnectionClosed: a bridge whose connection is closed for good ends with an error, so that its process is started
// again. The server closes it for a line of the protocol that is too long, which a long prefix causes.
func TestRunConnectionClosed(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) { o.MaxControlLine = 256 })
	cfg := config.Default()
	cfg.NATS.URL, cfg.NATS.Prefix, cfg.Admin.Listen = s.URL(), strings.Repeat("x", 170), "127.0.0.1:0"
	cfg.Roles = []string{config.RoleEgress}
	cfg.Clouds = []config.Cloud{{Name: "acme", API: config.API{
		URL: "http://127.0.0.1:1", Key: secret.Source{Value: "key"}, RequestsPerMinute: 1, Timeout: time.Second,
	}}}
	b, err := New(cfg, "test", http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	admin, err := net.Listen("tcp", cfg.Admin.Listen)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(t.Context(), Listeners{Admin: admin}); err == nil || !strings.Contains(err.Error(), "closed for good") {
		t.Errorf("the bridge ended with %v", err)
	}
}
