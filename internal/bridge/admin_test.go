package bridge

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/connlimit"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// TestLivez: /livez fails while the embedded server stores nothing and cannot be recovered, and says why. Nothing that readiness
// tells makes it fail.
func TestLivez(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.NATS.URL, cfg.Roles = "nats://127.0.0.1:1", []string{config.RoleEgress}
	cfg.Clouds = []config.Cloud{{Name: "acme", API: config.API{
		URL: "http://127.0.0.1:1", Key: secret.Source{Value: "key"}, RequestsPerMinute: 1, Timeout: time.Second,
	}}}
	b, err := New(cfg, "test", http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var broken atomic.Pointer[error]
	alive := func() error {
		if err := broken.Load(); err != nil {
			return *err
		}
		return nil
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- b.serveAdmin(ctx, connlimit.New(connlimit.Config{Max: 8}), l, alive, func() readiness { return readiness{Ready: false} })
	}()
	get := func(path string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	want := func(status int, text string) {
		t.Helper()
		if got, body := get("/livez"); got != status || !strings.Contains(body, text) {
			t.Errorf("/livez answers %d %q, want %d with %q", got, body, status, text)
		}
	}
	want(http.StatusOK, "ok")
	if got, _ := get("/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d", got)
	}
	fault := errors.New("the embedded NATS server has stored nothing since then")
	broken.Store(&fault)
	want(http.StatusServiceUnavailable, fault.Error())
	broken.Store(nil)
	want(http.StatusOK, "ok")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
