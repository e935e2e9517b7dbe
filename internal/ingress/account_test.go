package ingress_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// busy is an error with a time to wait.
type busy struct{ after time.Duration }

func (busy) Error() string               { return "full" }
func (b busy) RetryAfter() time.Duration { return b.after }

// TestSpooled: a spooled webhook is answered like a stored one, but has another outcome.
func TestSpooled(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Clouds[0].Name = "spooled" // the counters are those of the process
	s, _ := newServer(t, cfg, &memoryStore{spools: true})
	r := request(t, good)
	r.URL.Path = "/webhooks/spooled"
	if got := answer(t, s, r); got.status != http.StatusAccepted || got.header.Get("Factro-Event-Id") != eventID {
		t.Errorf("got %d with %v", got.status, got.header)
	}
	outcome := attribute.NewSet(attribute.String("factro.cloud", "spooled"), attribute.String("outcome", "spooled"),
		attribute.Int("http.response.status_code", 202))
	if n := counted(t, "factro.bridge.webhooks", outcome); n != 1 {
		t.Errorf("%d webhooks have the outcome spooled", n)
	}
}

// counted returns the value of a counter with these labels.
func counted(t testing.TB, name string, labels attribute.Set) int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == name {
				for _, p := range sum.DataPoints {
					if p.Attributes == labels {
						return p.Value
					}
				}
			}
		}
	}
	return 0
}

// TestRetryAfterOfTheStore: the store's time to wait is passed on to the sender.
func TestRetryAfterOfTheStore(t *testing.T) {
	t.Parallel()
	for want, after := range map[string]time.Duration{"77": 76*time.Second + time.Millisecond, "300": 5 * time.Minute} {
		s, _ := newServer(t, config(), &memoryStore{publish: func(context.Context) error { return fmt.Errorf("spool: %w", busy{after}) }})
		if got := answer(t, s, request(t, good)); got.status != 503 || got.header.Get("Retry-After") != want {
			t.Errorf("got %d with Retry-After %q, want %s", got.status, got.header.Get("Retry-After"), want)
		}
	}
}

// TestOnLost: OnLost is called for each webhook that could not be kept, and for no other.
func TestOnLost(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*http.Request)
		store  func(context.Context) error
		lost   bool
	}{
		"stored":                  {},
		"wrong secret":            {change: key(wrongGuess)},
		"a probe":                 {change: method("GET")},
		"too large for us":        {change: body(padded(2000))},
		"no event, but kept":      {change: body(`[]`)},
		"not stored":              {store: func(context.Context) error { return errors.New("no leader") }, lost: true},
		"no event, and not kept":  {change: body(`[]`), store: func(context.Context) error { return errors.New("no leader") }, lost: true},
		"too large for the store": {store: func(context.Context) error { return events.ErrTooLarge }, lost: true},
		"a panic":                 {store: func(context.Context) error { panic("Größe") }, lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lost []string
			cfg := config()
			cfg.OnLost = func(cloud string) { lost = append(lost, cloud) }
			s, _ := newServer(t, cfg, &memoryStore{publish: tt.store, quarantine: tt.store})
			r := request(t, good)
			if tt.change != nil {
				tt.change(r)
			}
			answer(t, s, r)
			if want := []string{"acme"}; tt.lost != slices.Equal(lost, want) || !tt.lost && len(lost) != 0 {
				t.Errorf("reported %q, want %v", lost, tt.lost)
			}
		})
	}
}

// TestUnaccounted: what arrived is compared with the store's count, so a store that loses something shows.
func TestUnaccounted(t *testing.T) {
	t.Parallel()
	var kept atomic.Int64
	in, out := make(chan struct{}), make(chan struct{})
	store := &memoryStore{}
	store.publish = func(context.Context) error { kept.Add(1); return nil }
	store.quarantine = store.publish
	cfg := config()
	cfg.Kept = kept.Load
	s, _ := newServer(t, cfg, store)
	want := func(n int64) {
		t.Helper()
		if got, ok := s.Missing(); !ok || got != n {
			t.Errorf("%d are missing, %v, want %d", got, ok, n)
		}
	}
	answer(t, s, request(t, good))
	for _, change := range []func(*http.Request){method("GET"), body(`[]`), key(wrongGuess), path("/webhooks/nobody"), body(padded(5000))} {
		r := request(t, good)
		change(r)
		answer(t, s, r)
	}
	want(0)
	store.publish = func(context.Context) error { in <- struct{}{}; <-out; kept.Add(1); return nil }
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Handler().ServeHTTP(httptest.NewRecorder(), request(t, good))
	}()
	<-in
	want(0) // it is being processed
	close(out)
	<-done
	want(0)
	store.publish = func(context.Context) error { return nil } // it reports success and stores nothing
	answer(t, s, request(t, good))
	want(1)
}
