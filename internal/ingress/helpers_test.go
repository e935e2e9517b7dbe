package ingress_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/ingress"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// What must never appear: every secret and every wrong guess begins with confidential, every body contains the marker.
const (
	confidential = "confidential-"
	oldSecret    = confidential + "old-4711"
	newSecret    = confidential + "new-4712"
	otherSecret  = confidential + "other-4713"
	wrongGuess   = confidential + "guess-4714"
	marker       = "body-marker-8472"

	eventID = "factro-id-1"
	good    = `{"id":"` + eventID + `","action":"TaskStateChanged","context":{"entityId":"t-1"},"x":"` + marker + `"}`
)

func config() ingress.Config {
	return ingress.Config{
		MaxBody: 1 << 10, MaxInFlight: 4, StoreTimeout: 5 * time.Second,
		MaxMemory: 1 << 20, MaxHeader: 8 << 10, MaxConnections: 100, MaxConnectionsPerAddress: 50, IdleTimeout: 11 * time.Minute,
		Clouds: []ingress.Cloud{
			{Name: "acme", Source: "urn:factro:cloud:acme", Header: "X-Bridge-Key", Secrets: values(oldSecret, newSecret)},
			{Name: "other", Source: "urn:factro:cloud:other", Header: "Authorization", Secrets: values(otherSecret)},
		},
	}
}

func values(texts ...secret.String) []secret.Source {
	sources := make([]secret.Source, len(texts))
	for i, text := range texts {
		sources[i].Value = text
	}
	return sources
}

func files(names ...string) []secret.Source {
	sources := make([]secret.Source, len(names))
	for i, name := range names {
		sources[i].File = name
	}
	return sources
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newServer returns a server whose log is searched for secrets and bodies when the test ends.
func newServer(t testing.TB, cfg ingress.Config, store ingress.Store) (*ingress.Server, *logBuffer) {
	t.Helper()
	book := &logBuffer{}
	log := slog.New(slog.NewJSONHandler(book, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if cfg.Files, err = lastgood.NewFiles(log); err != nil {
		t.Fatal(err)
	}
	s, err := ingress.New(cfg, store, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { wantNothingShown(t, "the log", book.String()) })
	return s, book
}

func wantNothingShown(t testing.TB, where, text string) {
	t.Helper()
	for _, hidden := range []string{confidential, marker} {
		if strings.Contains(text, hidden) {
			t.Errorf("%s shows %q: %s", where, hidden, text)
		}
	}
}

const prefix events.Prefix = "factro"

// memoryStore is a store in memory. The zero value accepts everything.
type memoryStore struct {
	// publish and quarantine are called before anything is kept.
	publish, quarantine func(context.Context) error

	// spools means that events do not reach the stream yet.
	spools bool

	mu     sync.Mutex
	events []published
	dead   []quarantined
}

type published struct {
	subject, id string
	event       event.Event
}

type quarantined struct {
	subject, id, code, reason string
	data                      []byte
	request                   http.Header
}

func (s *memoryStore) Publish(ctx context.Context, to events.EventAddress, e event.Event, id string) (storedAs string, spooled bool, err error) {
	if s.publish != nil {
		if err := s.publish(ctx); err != nil {
			return "", false, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, published{prefix.Event(to.Cloud, to.Resource, to.ID, to.Action), id, e})
	return e.ID(), s.spools, nil
}

func (s *memoryStore) Quarantine(ctx context.Context, cloud, id, code string, reason error, data []byte, request http.Header) error {
	if s.quarantine != nil {
		if err := s.quarantine(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = append(s.dead, quarantined{prefix.DeadWebhook(cloud), id, code, reason.Error(), data, request})
	return nil
}

func (s *memoryStore) stored() []published {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events
}

func (s *memoryStore) deadLetters() []quarantined {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

// request returns a valid delivery.
func request(t testing.TB, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/acme", strings.NewReader(body))
	r.Header.Set("X-Bridge-Key", oldSecret)
	r.Header.Set("Content-Type", "application/json")
	return r
}

// reply is the part of an answer that tests compare.
type reply struct {
	status int
	header http.Header
}

// answer lets the server answer a request, and checks what holds for every answer.
func answer(t testing.TB, s *ingress.Server, r *http.Request) reply {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	got := reply{w.Code, w.Header()}
	wantSound(t, got, w.Body.String())
	return got
}

// wantSound checks what holds for every answer: problems follow RFC 9457, other answers have no body, and none reveals
// anything.
func wantSound(t testing.TB, got reply, body string) {
	t.Helper()
	wantNothingShown(t, "the answer", body)
	if got.status < 400 {
		if body != "" {
			t.Errorf("%d with the body %q", got.status, body)
		}
		return
	}
	var problem struct {
		Title, Detail string
		Status        int
	}
	if kind := got.header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("%d is %q", got.status, kind)
	}
	if err := json.Unmarshal([]byte(body), &problem); err != nil || problem.Status != got.status ||
		problem.Title != http.StatusText(got.status) || problem.Detail == "" {
		t.Errorf("%d with the problem %s: %v", got.status, body, err)
	}
	if got.header.Get("Factro-Event-Id") != "" {
		t.Errorf("%d with an event id", got.status)
	}
}

func wantStatus(t testing.TB, got reply, want int) {
	t.Helper()
	if got.status != want {
		t.Errorf("got %d, want %d", got.status, want)
	}
}
