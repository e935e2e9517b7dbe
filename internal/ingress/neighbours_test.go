package ingress_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/factro-bridge/factro-bridge/internal/ingress"
)

// toOther makes a delivery one of the other cloud.
func toOther(r *http.Request) *http.Request {
	path("/webhooks/other")(r)
	r.Header.Set("Authorization", otherSecret)
	return r
}

// TestStoreThatHangs: a store that ignores its context delays the sender by no more than its timeout and a small margin.
// The slot and the memory stay taken until the store returns, and what it keeps in the end is accounted for.
func TestStoreThatHangs(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]error{"and keeps it": nil, "and fails": errors.New("gone")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				var kept, lost atomic.Int64
				cfg := config()
				cfg.MaxInFlight, cfg.Kept, cfg.OnLost = 2, kept.Load, func(string) { lost.Add(1) }
				s, book := newServer(t, cfg, &memoryStore{publish: func(context.Context) error {
					<-release
					if late == nil {
						kept.Add(1)
					}
					return late
				}})
				want := func(n int64) {
					t.Helper()
					if got, ok := s.Missing(); !ok || got != n {
						t.Errorf("%d are missing, %v, want %d", got, ok, n)
					}
				}
				for range 2 {
					began := time.Now()
					wantStatus(t, answer(t, s, request(t, good)), 503)
					if took := time.Since(began) - cfg.StoreTimeout; took < 0 || took > 1500*time.Millisecond {
						t.Errorf("it took %s more than it may", took)
					}
				}
				began := time.Now()
				wantStatus(t, answer(t, s, request(t, good)), 503) // both slots are taken
				if took := time.Since(began); took != 0 {
					t.Errorf("it took %s", took)
				}
				if n := lost.Load(); n != 3 || !strings.Contains(book.String(), "does not answer") {
					t.Errorf("%d lost, and the log says %s", n, book)
				}
				want(0)
				close(release)
				synctest.Wait()
				want(0)
				wantStatus(t, answer(t, s, request(t, good)), map[bool]int{true: 202, false: 503}[late == nil])
				want(0)
			})
		})
	}
}

// TestPanicLate: a panic after the answer does not stop the server.
func TestPanicLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, book := newServer(t, config(), &memoryStore{publish: func(context.Context) error { <-release; panic("Größe") }})
		wantStatus(t, answer(t, s, request(t, good)), 503)
		close(release)
		synctest.Wait()
		if !strings.Contains(book.String(), "made the bridge panic") {
			t.Errorf("the log says %s", book)
		}
	})
}

// TestSlotsByCloud: a cloud whose webhooks are slow to store takes no more than the shared half of the slots and its own
// part.
func TestSlotsByCloud(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		cfg := config()
		cfg.MaxInFlight = 8
		slow := true
		s, _ := newServer(t, cfg, &memoryStore{publish: func(context.Context) error {
			if slow {
				<-release
			}
			return nil
		}})
		for range 20 {
			go answer(t, s, request(t, good))
		}
		synctest.Wait()
		slow = false
		wantStatus(t, answer(t, s, request(t, good)), 503)
		wantStatus(t, answer(t, s, toOther(request(t, good))), 202)
		close(release)
		synctest.Wait()
		wantStatus(t, answer(t, s, request(t, good)), 202)
	})
}

// TestMemoryByCloud: bodies take memory as they arrive. One cloud does not take the memory reserved for another, and memory
// is returned however a request ends.
func TestMemoryByCloud(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.MaxBody, cfg.MaxMemory = 64<<10, 2*(2*64<<10+20<<10)
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var slow atomic.Bool
		slow.Store(true)
		s, _ := newServer(t, cfg, &memoryStore{publish: func(context.Context) error {
			if slow.Load() {
				<-release
			}
			return nil
		}})
		for range 10 {
			go answer(t, s, request(t, padded(40<<10)))
		}
		synctest.Wait()
		slow.Store(false)
		wantStatus(t, answer(t, s, request(t, padded(64<<10))), 503)
		wantStatus(t, answer(t, s, toOther(request(t, good))), 202)
		close(release)
		synctest.Wait()
		for range 100 { // nothing leaks
			wantStatus(t, answer(t, s, request(t, padded(64<<10))), 202)
			wantStatus(t, answer(t, s, request(t, padded(64<<10+1))), 413)
			wantStatus(t, answer(t, s, request(t, "x")), 400)
		}
	})
}

// TestDrippingBodies: bodies of one cloud that arrive too slowly take no slots, and are given up within seconds.
func TestDrippingBodies(t *testing.T) {
	t.Parallel()
	store := &memoryStore{}
	serve(t, store, func(h *memoryListener) {
		for range 30 { // more than there are slots
			c := h.dial()
			go io.Copy(io.Discard, c) //nolint:errcheck // the answer does not matter
			go func() {
				c.say(post(oldSecret, length(len(good))))
				for i := 0; c.say(good[i : i+1]); i++ {
					time.Sleep(time.Second) //nolint:forbidigo // in a bubble
				}
			}()
		}
		synctest.Wait()
		for _, text := range []string{
			post(oldSecret, length(len(good))) + good,
			strings.Replace(post(oldSecret, "Authorization: "+otherSecret, length(len(good))), "/acme", "/other", 1) + good,
		} {
			began := time.Now()
			c := h.dial()
			go c.say(text)
			c.want(202)
			if took := time.Since(began); took != 0 {
				h.t.Errorf("it took %s", took)
			}
		}
		time.Sleep(7 * time.Second) //nolint:forbidigo // in a bubble: the senders notice
		if n := len(store.stored()); n != 2 {
			h.t.Errorf("%d events", n)
		}
	})
}

// TestConnectionsOverTheLimit: a sender that knows a secret can connect however many connections strangers hold, and keeps
// its connection while theirs are closed.
func TestConnectionsOverTheLimit(t *testing.T) {
	t.Parallel()
	store := &memoryStore{}
	serve(t, store, func(h *memoryListener) {
		good := post(oldSecret, length(len(good))) + good
		first := h.dial()
		go first.say(good)
		first.want(202)
		var open atomic.Int64
		for range 3 * config().MaxConnections {
			c := h.dial()
			open.Add(1)
			go func() {
				_, _ = io.Copy(io.Discard, c) // ends with the connection
				open.Add(-1)
			}()
			go c.say("GET /webhooks/acme HTTP/1.1\r\nHost: x\r\n\r\n")
			synctest.Wait()
		}
		if n := open.Load(); n != int64(config().MaxConnectionsPerAddress-1) {
			h.t.Errorf("%d strangers are open", n)
		}
		second := h.dial()
		go second.say(good)
		second.want(202)
		time.Sleep(5 * time.Second) //nolint:forbidigo // in a bubble: idle strangers go
		synctest.Wait()
		if n := open.Load(); n != 0 {
			h.t.Errorf("%d strangers are open after their time", n)
		}
		time.Sleep(10 * time.Minute) //nolint:forbidigo // in a bubble: longer than balancers keep a connection
		go first.say(good)
		first.want(202)
		if n := len(store.stored()); n != 3 {
			h.t.Errorf("%d events stored", n)
		}
	})
}

// TestRedirected: a GET with the correct secret is a webhook that a redirect has emptied, and an empty POST may be one.
// Both are counted, and a sample is logged.
func TestRedirected(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Clouds[0].Name = "redirected" // the counters are those of the process
	s, book := newServer(t, cfg, &memoryStore{})
	for _, change := range []func(*http.Request){method("GET"), method("GET"), body(""), all(method("GET"), key())} {
		r := request(t, "")
		change(r)
		path("/webhooks/redirected")(r)
		answer(t, s, r)
	}
	for outcome, want := range map[string]struct {
		n      int64
		status int
	}{"redirected": {2, 405}, "empty": {1, 204}, "probe": {1, 204}} {
		labels := attribute.NewSet(attribute.String("factro.cloud", "redirected"), attribute.String("outcome", outcome),
			attribute.Int("http.response.status_code", want.status))
		if n := counted(t, "factro.bridge.webhooks", labels); n != want.n {
			t.Errorf("%d are %s, want %d", n, outcome, want.n)
		}
	}
	if text := book.String(); strings.Count(text, "URL redirected?") != 1 || strings.Count(text, "has no body") != 1 ||
		!strings.Contains(text, `"level":"WARN"`) {
		t.Errorf("the log says %s", text)
	}
}

// TestEndOfABody: only an answer to a body that ended early mentions it.
func TestEndOfABody(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		sent, detail string
	}{
		"odd chunks": {post(oldSecret, "Transfer-Encoding: chunked") + "zz\r\n", "malformed"},
		"odd end":    {post(oldSecret, "Transfer-Encoding: chunked") + "1\r\n{}\r\n", "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serve(t, &memoryStore{}, func(h *memoryListener) {
				c := h.dial()
				go c.say(tt.sent)
				resp, err := http.ReadResponse(c.in, nil)
				if err != nil {
					h.t.Fatal(err)
				}
				defer resp.Body.Close()
				var text strings.Builder
				_, _ = fmt.Fprint(&text, resp.Status)
				buf := make([]byte, 1<<10)
				n, _ := resp.Body.Read(buf)
				if got := string(buf[:n]); resp.StatusCode != http.StatusBadRequest || !strings.Contains(got, tt.detail) || strings.Contains(got, "ended") {
					h.t.Errorf("%d %s", resp.StatusCode, got)
				}
				_ = c.Close()
			})
		})
	}
}

// TestShortSecrets: a secret below 8 bytes is an error, below 16 a warning, at the start and when a configuration is
// checked.
func TestShortSecrets(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Clouds[0].Secrets = values("12345678", "123456789012345", "1234567890123456")
	if got := cfg.Warnings(); len(got) != 2 || !strings.Contains(got[0], "clouds[0].webhook.secrets[0]") || !strings.Contains(got[1], "15 bytes") {
		t.Errorf("%q", got)
	}
	synctest.Test(t, func(t *testing.T) {
		s, book := newServer(t, cfg, &memoryStore{})
		h := newMemoryListener(t)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, h, nil, grace) }()
		synctest.Wait()
		if text := book.String(); strings.Count(text, "secret is short") != 2 || strings.Contains(text, "12345678") {
			t.Errorf("the log says %s", text)
		}
		answer(t, s, request(t, good))
		stop()
		if err := <-ended; err != nil || strings.Count(book.String(), "secret is short") != 2 {
			t.Errorf("%v, and the log says %s", err, book)
		}
	})
}

// TestRefusalsAreCounted: refusals before the webhook handler are counted too.
func TestRefusalsAreCounted(t *testing.T) { //nolint:paralleltest // it counts what everybody counts
	before := func() (nowhere, none int64) {
		return counted(t, "factro.bridge.webhooks", attribute.NewSet(attribute.String("factro.cloud", "unknown"),
				attribute.String("outcome", "not_found"), attribute.Int("http.response.status_code", 404))),
			counted(t, "factro.bridge.connections.dropped", attribute.NewSet(attribute.String("reason", "no_request")))
	}
	nowhere, none := before()
	serve(t, &memoryStore{}, func(h *memoryListener) {
		for sent, status := range map[string]int{
			"GET / HTTP/1.1\r\nHost: x\r\n\r\n": 404, "POST //webhooks HTTP/1.1\r\nHost: x\r\n\r\n": 404,
			"nonsense\r\n\r\n": 400, "GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("b", 17<<10) + "\r\n\r\n": 431,
			"POST /webhooks/acme HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n": 501,
		} {
			c := h.dial()
			go c.say(sent)
			c.want(status)
			_ = c.Close()
		}
		time.Sleep(time.Second) //nolint:forbidigo // in a bubble: net/http lingers behind a refused header
	})
	if n, m := before(); n-nowhere != 2 || m-none != 3 {
		t.Errorf("%d were counted as not found, want 2, and %d as no request, want 3", n-nowhere, m-none)
	}
}

var _ ingress.Store = (*memoryStore)(nil)

// TestMemoryOfRequests: a request is charged for more than its body, so very many requests with empty bodies are refused.
func TestMemoryOfRequests(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.MaxMemory = 100 << 10
	cfg.Clouds = cfg.Clouds[:1]
	s, _ := newServer(t, cfg, &memoryStore{})
	hang := make(chan struct{})
	var refused atomic.Int64
	done := make(chan struct{})
	for range 20 {
		go func() {
			r := request(t, good)
			r.Body = waits{hang}
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			if w.Code == http.StatusServiceUnavailable {
				refused.Add(1)
			}
			done <- struct{}{}
		}()
	}
	for range 15 { // five have a place, at 20 KiB each
		<-done
	}
	close(hang)
	for range 5 {
		<-done
	}
	if n := refused.Load(); n != 15 {
		t.Errorf("%d were refused", n)
	}
}

// waits is a body that blocks until its end.
type waits struct{ until chan struct{} }

func (w waits) Read([]byte) (int, error) { <-w.until; return 0, errors.New("broken") }
func (waits) Close() error               { return nil }
