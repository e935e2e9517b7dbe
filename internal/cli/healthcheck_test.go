package cli

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bridge"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// health runs the command and returns what it printed and its error.
func health(t testing.TB, args ...string) (string, error) {
	t.Helper()
	root := newRoot("test")
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs(append([]string{"healthcheck"}, args...))
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

// startAdmin runs a bridge until the test ends, and returns the URL of its admin server. If nothing listens on the URL of NATS, the
// bridge is alive, but never ready.
func startAdmin(t *testing.T, nats config.NATS) string {
	t.Helper()
	cfg := config.Default()
	cfg.NATS, cfg.Admin.Listen, cfg.Roles = nats, "127.0.0.1:0", []string{config.RoleEgress}
	cfg.Clouds = []config.Cloud{{Name: "acme", API: config.API{
		URL: "http://127.0.0.1:1", Key: secret.Source{Value: "key"}, RequestsPerMinute: 1, Timeout: time.Second,
	}}}
	b, err := bridge.New(cfg, "test", http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := b.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error("the bridge ended with", err)
		}
	})
	return "http://" + l.Admin.Addr().String()
}

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	ready := config.Default().NATS
	ready.URL, ready.Embedded.DataDir = "", t.TempDir()
	away := config.Default().NATS
	away.URL = "nats://127.0.0.1:1"
	admin, waiting := startAdmin(t, ready), startAdmin(t, away)

	out, err := health(t, "--url", admin)
	for err != nil && t.Context().Err() == nil && strings.Contains(err.Error(), "503") { // the streams are not there yet
		out, err = health(t, "--url", admin)
	}
	if err != nil || !strings.Contains(out, `"ready":true`) {
		t.Errorf("a ready bridge: %v, %s", err, out)
	}
	if out, err := health(t, "--url", waiting); err == nil || !strings.Contains(err.Error(), "503") ||
		!strings.Contains(out, `"ready":false`) {
		t.Errorf("a bridge without NATS: %v, %s", err, out)
	}
	if out, err := health(t, "--url", waiting, "--live"); err != nil || out != "ok\n" {
		t.Errorf("a live bridge without NATS: %v, %s", err, out)
	}
	if out, err := health(t, "--url", waiting+"/nowhere"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("another path: %v, %s", err, out)
	}

	// No server, and an address from the configuration.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bridge.yaml")
	text := bytes.Replace(config.Sample, []byte("127.0.0.1:9090"), []byte(address), 1)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := health(t, "--config", file); err == nil || !strings.Contains(err.Error(), address+"/readyz") || out != "" {
		t.Errorf("nobody at %s: %v, %s", address, err, out)
	}
}

// A redirect to a server that is ready does not count, and a password in the URL is not printed.
func TestHealthcheckRefused(t *testing.T) {
	t.Parallel()
	ready := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(ready.Close)
	server := httptest.NewServer(http.RedirectHandler(ready.URL, http.StatusFound))
	t.Cleanup(server.Close)
	if out, err := health(t, "--url", strings.Replace(server.URL, "//", "//admin:geheim@", 1)); err == nil ||
		!strings.Contains(err.Error(), "302") || strings.Contains(out+err.Error(), "geheim") {
		t.Errorf("a redirect: %v, %s", err, out)
	}
}

func TestHealthcheckAddress(t *testing.T) {
	t.Parallel()
	sample := filepath.Join(t.TempDir(), "bridge.yaml")
	if err := os.WriteFile(sample, config.Sample, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		flags         healthFlags
		listen        string
		want, mistake string
	}{
		"configured":         {flags: healthFlags{config: sample}, want: "http://127.0.0.1:9090/readyz"},
		"live":               {flags: healthFlags{config: sample, live: true}, want: "http://127.0.0.1:9090/livez"},
		"everywhere":         {flags: healthFlags{config: sample}, listen: ":9191", want: "http://127.0.0.1:9191/readyz"},
		"everywhere, IPv4":   {flags: healthFlags{config: sample}, listen: "0.0.0.0:9191", want: "http://127.0.0.1:9191/readyz"},
		"everywhere, IPv6":   {flags: healthFlags{config: sample}, listen: "[::]:9191", want: "http://127.0.0.1:9191/readyz"},
		"a URL":              {flags: healthFlags{url: "https://bridge:9090/"}, want: "https://bridge:9090/readyz"},
		"a URL with a path":  {flags: healthFlags{url: "http://127.0.0.1:8081/_sim/"}, want: "http://127.0.0.1:8081/_sim/"},
		"a path and --live":  {flags: healthFlags{url: "http://bridge/x", live: true}, mistake: "path already"},
		"no URL":             {flags: healthFlags{url: "bridge:9090"}, mistake: "not an http or https address"},
		"no configuration":   {flags: healthFlags{config: sample + "x"}, mistake: "no such file"},
		"nothing configured": {mistake: "no file is named"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var environ []string
			if tt.listen != "" {
				environ = []string{"FACTRO_BRIDGE_ADMIN_LISTEN=" + tt.listen}
			}
			got, err := tt.flags.address(environ)
			if tt.mistake != "" {
				if err == nil || !strings.Contains(err.Error(), tt.mistake) {
					t.Errorf("error %v, want %q", err, tt.mistake)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}
