package egress

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// TestConnections: a connection is given up before a usual server does it, and what cannot be looked for never meets the
// end of a kept one.
func TestConnections(t *testing.T) {
	t.Parallel()
	if d := newTransport().kept.IdleConnTimeout; d <= 0 || d >= 5*time.Second {
		t.Errorf("an idle connection is kept for %s, want less than the five seconds of a usual server", d)
	}
	var conns atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `[{"id":"t-1"}]`)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	api, err := NewAPI(Config{
		Cloud: "acme", Prefix: "factro", URL: server.URL, Key: secret.Source{Value: apiKey}, RequestsPerMinute: 480, Timeout: 5 * time.Second,
		UserAgent: "test",
	}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		operation string
		want      int32 // connections of five calls
	}{{"updateTasks", 1}, {"createTasks", 5}, {"updateTasks", 0}} {
		op, _ := factro.Lookup(test.operation)
		conns.Store(0)
		for range 5 {
			if got, j := api.exchange(t.Context(), attempt{op: op, number: 1}, translate.Call{Method: op.Method, Target: "/x"}, apiKey); j != done {
				t.Fatalf("judged %d: %+v", j, got)
			}
		}
		if n := conns.Load(); n != test.want {
			t.Errorf("five of %s took %d new connections, want %d", test.operation, n, test.want)
		}
	}
}

// TestTLSWithoutEnd: a call ends though the handshake does not.
func TestTLSWithoutEnd(t *testing.T) {
	t.Parallel()
	api, err := NewAPI(Config{
		Cloud: "acme", Prefix: "factro", URL: "https" + raw(t, func(io.Writer) {})[len("http"):], Key: secret.Source{Value: apiKey},
		RequestsPerMinute: 480, Timeout: time.Second, UserAgent: "test",
	}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	got, j := api.exchange(t.Context(), attempt{op: probe, number: 1}, probeCall, apiKey)
	if d := time.Since(began); j != failed || !got.unsent || d > 3*time.Second {
		t.Errorf("after %s it is judged %d: %+v", d, j, got)
	}
}

// TestRedirectNotFollowed: a redirect to a good answer is none, and is not followed: it would carry the key along.
func TestRedirectNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/good" {
			followed.Add(1)
			_, _ = io.WriteString(w, fits)
			return
		}
		http.Redirect(w, r, "/good", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	api, err := NewAPI(Config{
		Cloud: "acme", Prefix: "factro", URL: server.URL, Key: secret.Source{Value: apiKey}, RequestsPerMinute: 480, Timeout: 5 * time.Second,
		UserAgent: "test",
	}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, operation := range []string{"createTask", "updateTask", "deleteTask", "getTask"} {
		op, _ := factro.Lookup(operation)
		if got, j := api.exchange(t.Context(), attempt{op: op, number: 1}, translate.Call{Method: op.Method, Target: "/x"}, apiKey); j != unknown {
			t.Errorf("%s is judged %d: %+v", operation, j, got)
		}
	}
	if n := followed.Load(); n > 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

// TestRedirectWithLocation: the client follows no redirect by itself either, if an answer comes to it with its address.
func TestRedirectWithLocation(t *testing.T) {
	t.Parallel()
	var followed atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			followed.Add(1)
			return
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	c := newClient(Config{URL: server.URL, Timeout: 5 * time.Second}, nil)
	c.http.Transport = server.Client().Transport // without the guard, which lets no address through
	op, _ := factro.Lookup("createTask")
	got := c.do(t.Context(), apiKey, attempt{op: op, number: 1}, translate.Call{Method: op.Method, Target: "/x"})
	if got.status != http.StatusTemporaryRedirect || got.header.Get("Location") == "" || followed.Load() > 0 {
		t.Errorf("%d redirects were followed: %+v", followed.Load(), got)
	}
}
