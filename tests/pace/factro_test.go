package pace

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/sim"
)

const apiKey = "key-of-the-pace-suite"

// factro is a simulator that notes when it was called for which command.
type factro struct {
	*sim.Sim
	server *httptest.Server

	mu    sync.Mutex
	calls map[string]time.Time // of the first call for each title
	spans []span               // of all calls
}

// span is a call from its begin to its end.
type span struct{ began, ended time.Time }

func startFactro(t testing.TB, cfg sim.Config) *factro {
	t.Helper()
	cfg.Key = apiKey
	s, err := sim.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f := &factro{Sim: s, calls: map[string]time.Time{}}
	next := s.Handler()
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the bridge has given up the call
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var task struct{ Title string }
		if json.Unmarshal(body, &task) == nil && task.Title != "" {
			f.mu.Lock()
			if _, known := f.calls[task.Title]; !known {
				f.calls[task.Title] = began
			}
			f.mu.Unlock()
		}
		defer func() {
			f.mu.Lock()
			f.spans = append(f.spans, span{began, time.Now()})
			f.mu.Unlock()
		}()
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(f.server.Close)
	return f
}

// called is when a command was called first; zero if it was not.
func (f *factro) called(title string) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[title]
}

// between are the first call and the end of the last one.
func (f *factro) between() (first, last time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.spans {
		if first.IsZero() || s.began.Before(first) {
			first = s.began
		}
		if s.ended.After(last) {
			last = s.ended
		}
	}
	return first, last
}

// mostAtOnce is how many calls were on their way at the same time.
func (f *factro) mostAtOnce() (most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	type change struct {
		at time.Time
		by int
	}
	var all []change
	for _, s := range f.spans {
		all = append(all, change{s.began, 1}, change{s.ended, -1})
	}
	slices.SortFunc(all, func(a, b change) int { return cmp.Or(a.at.Compare(b.at), a.by-b.by) })
	now := 0
	for _, c := range all {
		now += c.by
		most = max(most, now)
	}
	return most
}
