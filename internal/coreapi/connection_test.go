package coreapi

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// TestConnections: what cannot be looked for never meets the end of a kept connection.
func TestConnections(t *testing.T) {
	t.Parallel()
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
	api, err := New(Config{
		Cloud: "acme", URL: server.URL, Key: secret.Source{Value: apitest.Key}, RequestsPerMinute: 480, Timeout: 5 * time.Second,
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
			if got, j := api.Exchange(t.Context(), Attempt{Op: op, Number: 1}, translate.Call{Method: op.Method, Target: "/x"}, apitest.Key); j != Done {
				t.Fatalf("judged %d: %+v", j, got)
			}
		}
		if n := conns.Load(); n != test.want {
			t.Errorf("five of %s took %d new connections, want %d", test.operation, n, test.want)
		}
	}
}

// TestKeptConnectionClosed: a server closes a kept connection as a call goes out. The outcome of the call is not known, but it
// says nothing about factro's health; a new connection that is closed does.
func TestKeptConnectionClosed(t *testing.T) {
	t.Parallel()
	for name, closes := range map[string]func(net.Conn){
		"closed": func(c net.Conn) { _ = c.Close() },
		"reset": func(c net.Conn) {
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		},
	} {
		for after, health := range map[int]int{1: 0, 0: 10} { // answers that a connection gives, and failures that the breaker counts
			t.Run(fmt.Sprint(name, " after ", after), func(t *testing.T) {
				t.Parallel()
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = l.Close() }()
				go func() { // ends with the listener
					for {
						conn, err := l.Accept()
						if err != nil {
							return
						}
						go func() {
							defer closes(conn)
							r := bufio.NewReader(conn)
							for n := 0; ; n++ {
								req, err := http.ReadRequest(r)
								if err != nil {
									return
								}
								if _, err := io.Copy(io.Discard, req.Body); err != nil || n == after {
									return
								}
								_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(apitest.Fits), apitest.Fits)
							}
						}()
					}
				}()
				api, err := New(Config{
					Cloud: "acme", URL: "http://" + l.Addr().String(), Key: secret.Source{Value: apitest.Key}, RequestsPerMinute: 480,
					Timeout: 5 * time.Second, UserAgent: "test",
				}, nil, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				op, _ := factro.Lookup("createTask")
				failures := 0
				for range 10 {
					if after == 1 {
						if got, j := api.Exchange(t.Context(), Attempt{Op: op, Number: 1}, translate.Call{Method: op.Method, Target: "/x", Body: []byte("{}")}, apitest.Key); j != Done {
							t.Fatalf("on a new connection it is judged %d: %+v", j, got)
						}
					}
					got := api.client.do(t.Context(), apitest.Key, Attempt{Op: op, Number: 1}, translate.Call{Method: op.Method, Target: "/x", Body: []byte("{}")})
					if j := judge(op, got); j != Unknown || got.Unsent || got.Stale != (after == 1) {
						t.Errorf("it is judged %d: %+v", j, got)
					}
					if !got.Stale {
						failures++
					}
				}
				if failures != health {
					t.Errorf("%d speak against factro, want %d", failures, health)
				}
				if after != 1 {
					return
				}
				for range 10 { // one that is answered, and one that meets the end
					for _, want := range []Judgement{Done, Unknown} {
						if got, j := api.Exchange(t.Context(), Attempt{Op: op, Number: 1}, translate.Call{Method: op.Method, Target: "/x", Body: []byte("{}")}, apitest.Key); j != want {
							t.Fatalf("judged %d: %+v", j, got)
						}
					}
				}
				if c := api.gate.breaker.Counts(); c.TotalFailures != 0 || !api.gate.open() {
					t.Errorf("the breaker counts %+v", c)
				}
			})
		}
	}
}

// TestTLSWithoutEnd: a call ends though the handshake does not.
func TestTLSWithoutEnd(t *testing.T) {
	t.Parallel()
	api, err := New(Config{
		Cloud: "acme", URL: "https" + raw(t, func(io.Writer) {})[len("http"):], Key: secret.Source{Value: apitest.Key},
		RequestsPerMinute: 480, Timeout: time.Second, UserAgent: "test",
	}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	got, j := api.Exchange(t.Context(), Attempt{Op: Probe, Number: 1}, probeCall, apitest.Key)
	if d := time.Since(began); j != Failed || !got.Unsent || d > 3*time.Second {
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
			_, _ = io.WriteString(w, apitest.Fits)
			return
		}
		http.Redirect(w, r, "/good", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	api, err := New(Config{
		Cloud: "acme", URL: server.URL, Key: secret.Source{Value: apitest.Key}, RequestsPerMinute: 480, Timeout: 5 * time.Second,
		UserAgent: "test",
	}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, operation := range []string{"createTask", "updateTask", "deleteTask", "getTask"} {
		op, _ := factro.Lookup(operation)
		if got, j := api.Exchange(t.Context(), Attempt{Op: op, Number: 1}, translate.Call{Method: op.Method, Target: "/x"}, apitest.Key); j != Unknown {
			t.Errorf("%s is judged %d: %+v", operation, j, got)
		}
	}
	if n := followed.Load(); n > 0 {
		t.Errorf("%d redirects were followed", n)
	}
}
