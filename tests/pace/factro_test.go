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
	calls map[string][]time.Time // of the calls for each title
	spans []span                 // of all calls for commands
}

// span is a call from its begin to that of its answer.
type span struct{ began, ended time.Time }

// answering notes when an answer begins. The caller may have it, and make the next call, before its handler returns.
type answering struct {
	http.ResponseWriter
	began time.Time
}

func (a *answering) WriteHeader(status int) {
	a.begin()
	a.ResponseWriter.WriteHeader(status)
}

func (a *answering) Write(p []byte) (int, error) {
	a.begin()
	return a.ResponseWriter.Write(p) //nolint:wrapcheck // it is the writer's own
}

func (a *answering) begin() {
	if a.began.IsZero() {
		a.began = time.Now()
	}
}

func startFactro(t testing.TB, cfg sim.Config) *factro {
	t.Helper()
	cfg.Key = apiKey
	s, err := sim.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f := &factro{Sim: s, calls: map[string][]time.Time{}}
	next := s.Handler()
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the bridge has given up the call
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var task struct{ Title string }
		if json.Unmarshal(body, &task) != nil || task.Title == "" { // a read of the bridge
			next.ServeHTTP(w, r)
			return
		}
		f.mu.Lock()
		f.calls[task.Title] = append(f.calls[task.Title], began)
		f.mu.Unlock()
		answer := &answering{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		f.mu.Lock()
		f.spans = append(f.spans, span{began, answer.began})
		f.mu.Unlock()
	}))
	t.Cleanup(f.server.Close)
	return f
}

// spendAll makes requests as another program with the key until factro refuses one, and returns how many it made.
func (f *factro) spendAll(t testing.TB) (n int) {
	t.Helper()
	must(t, f.SetFaults(nil))
	defer func() { must(t, f.SetFaults(slow(250*time.Millisecond))) }()
	for ; ; n++ {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/api/core/users", http.NoBody)
		r.Header.Set("Authorization", apiKey)
		if f.Handler().ServeHTTP(w, r); w.Code == http.StatusTooManyRequests {
			return n
		}
	}
}

// called is when a command was called first after a time; zero if it was not.
func (f *factro) called(title string, after time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, at := range f.calls[title] {
		if at.After(after) {
			return at
		}
	}
	return time.Time{}
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

// mostAtOnce is how many calls for commands were on their way at the same time.
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
