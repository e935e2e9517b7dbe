package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/bus/state"
	"github.com/factro-bridge/factro-bridge/internal/control"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// world is a mirror between a scripted factro and a real broker.
type world struct {
	t       *testing.T
	server  *natstest.Server
	js      jetstream.JetStream
	mirror  *Mirror
	factro  *scripted
	events  chan Event
	pauses  *pauses
	reading *lease
	made    atomic.Int64 // when the stream of events was made
}

// scripted is a factro with a handler for each path. It counts the calls.
type scripted struct {
	mu     sync.Mutex
	calls  []string
	answer func(path string) (status int, body string)
}

func (f *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/api/core")
	f.mu.Lock()
	f.calls = append(f.calls, path)
	answer := f.answer
	f.mu.Unlock()
	status, body := answer(path)
	w.Header().Set("Content-Type", "application/json")
	if strings.HasPrefix(body, "<") {
		w.Header().Set("Content-Type", "text/html")
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // the client may be gone
}

// set has it answer otherwise from now on.
func (f *scripted) set(answer func(path string) (status int, body string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// count is how many calls there were of a path.
func (f *scripted) count(path string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c == path {
			n++
		}
	}
	return n
}

func (f *scripted) total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}

// lease is one that nobody else wants.
type lease struct {
	mu    sync.Mutex
	value json.RawMessage
	lost  chan struct{}
	until time.Time
}

func (l *lease) Until() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}
func (l *lease) Lost() <-chan struct{}  { return l.lost }
func (*lease) Yield() <-chan struct{}   { return nil }
func (*lease) Release(context.Context)  {}
func (l *lease) Value() json.RawMessage { l.mu.Lock(); defer l.mu.Unlock(); return l.value }
func (l *lease) Keep(_ context.Context, value json.RawMessage) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.value = value
	return nil
}

// pauses are those of a mirror that is paused while free is open.
type pauses struct{ free chan struct{} }

func (*pauses) AwaitKnown(context.Context) error { return nil }
func (p *pauses) AwaitFree(ctx context.Context, _ string, _ control.Direction) error {
	select {
	case <-p.free:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// log is a stream of events.
type eventLog struct {
	events chan Event
	made   *atomic.Int64
}

func (l eventLog) End(context.Context) (uint64, time.Time, error) {
	return 0, time.Unix(l.made.Load(), 0).UTC(), nil
}

func (l eventLog) Read(ctx context.Context, _ uint64, each func(Event) error) error {
	for {
		select {
		case e := <-l.events:
			if err := each(e); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// noResults is a stream without results.
type noResults struct{}

func (noResults) Read(ctx context.Context, _ time.Time, _ func(event.Event)) error {
	<-ctx.Done()
	return ctx.Err()
}

// newWorld starts a mirror whose first snapshot is complete.
func newWorld(t *testing.T, answer func(path string) (int, string), change ...func(*Config)) *world {
	t.Helper()
	w := prepare(t, answer, change...)
	w.run()
	natstest.Eventually(t, "the first snapshot is complete", func() bool { return !w.progress().Complete.IsZero() })
	return w
}

func prepare(t *testing.T, answer func(path string) (int, string), changes ...func(*Config)) *world {
	t.Helper()
	server := natstest.Start(t)
	conn := bustest.Running(t, server, bustest.Clouds("acme"))
	_, js := server.Connect(t)
	if _, err := js.CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: change.Bucket("factro", "acme")}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: change.Stream("factro", "acme"), Subjects: []string{"factro.change.acme.>"}}); err != nil {
		t.Fatal(err)
	}
	publisher, err := publish.New(t.Context(), conn, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f := &scripted{answer: answer}
	web := httptest.NewServer(f)
	t.Cleanup(web.Close)
	api, err := coreapi.New(coreapi.Config{
		Cloud: "acme", URL: web.URL + "/api/core/", Key: secret.Source{Value: "k"}, RequestsPerMinute: 100_000, Timeout: 5 * time.Second, UserAgent: "test",
	}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, server: server, js: js, factro: f, events: make(chan Event, 1000), pauses: &pauses{make(chan struct{})}}
	close(w.pauses.free)
	w.made.Store(1)
	w.reading = &lease{lost: make(chan struct{}), until: time.Now().Add(time.Hour)}
	cfg := Config{Cloud: "acme", Source: "urn:factro:acme", Prefix: "factro", Resources: []string{"task", "package", "project"}, Settle: 20 * time.Millisecond, Share: 1}
	for _, c := range changes {
		c(&cfg)
	}
	w.mirror, err = New(cfg, Parts{
		API: api, Store: state.New(conn, publisher, "acme"), Events: eventLog{w.events, &w.made}, Results: noResults{}, Pauses: w.pauses,
		Acquire: func(context.Context) (Lease, error) { return w.reading, nil },
		Serve: func(ctx context.Context, _ func([]byte) queries.Answer) error {
			<-ctx.Done()
			return ctx.Err()
		},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// run runs the mirror until the test ends.
func (w *world) run() {
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.mirror.Run(ctx) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) progress() Progress {
	if s := w.mirror.now(); s != nil {
		return s.look()
	}
	return Progress{}
}

// event is an event about an object.
func (w *world) event(sequence int, resource, id, action string) {
	w.events <- Event{
		Sequence: uint64(sequence), Subject: fmt.Sprintf("factro.event.acme.%s.%s.%s", resource, id, action), ID: fmt.Sprint("e-", sequence), Stored: time.Now(),
	}
}

// covered waits until all events up to a place are covered.
func (w *world) covered(sequence int) {
	w.t.Helper()
	natstest.Eventually(w.t, fmt.Sprint("event ", sequence, " is covered"), func() bool {
		s := w.mirror.now()
		return s != nil && s.queue.Covered() >= uint64(sequence)
	})
}

// state is the copy of an object: its text, or the status of one that is gone.
func (w *world) state(resource, id string) string {
	w.t.Helper()
	k, err := w.mirror.parts.Store.Entry(w.t.Context(), resource, id)
	if err != nil {
		w.t.Fatal(err)
	}
	if k.Object == nil {
		return fmt.Sprint(k.Status)
	}
	return string(k.Text)
}

// changes are the subjects of all changes, and what has changed.
func (w *world) changes() []string {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), change.Stream("factro", "acme"))
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := s.Info(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for n := info.State.FirstSeq; n > 0 && n <= info.State.LastSeq; n++ {
		m, err := s.GetMsg(w.t.Context(), n)
		if err != nil {
			w.t.Fatal(err)
		}
		var d struct{ Changed []string }
		if err := json.Unmarshal(m.Data, &d); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, strings.TrimPrefix(m.Subject, "factro.change.acme.")+" "+strings.Join(d.Changed, ",")+" "+m.Header.Get("ce-factroorigin"))
	}
	return all
}

func (w *world) wantChanges(want ...string) {
	w.t.Helper()
	if got := w.changes(); !slices.Equal(got, want) {
		w.t.Errorf("the changes are\n%q\nwant\n%q", got, want)
	}
}

// objects is a factro with these objects: tasks are in the project p-1.
func objects(all map[string]string) func(path string) (int, string) {
	return func(path string) (int, string) {
		list := func(kind string) string {
			var found []string
			for name, text := range all {
				if strings.HasPrefix(name, kind) {
					found = append(found, text)
				}
			}
			slices.Sort(found)
			return "[" + strings.Join(found, ",") + "]"
		}
		switch {
		case path == "/projects":
			return 200, list("/projects/")
		case path == "/tasks", strings.HasPrefix(path, "/tasks/by-project/"):
			return 200, list("/tasks/")
		case strings.HasSuffix(path, "/packages"):
			return 200, "[]"
		case path == "/users/absences":
			return 200, list("/absences/")
		case all[path] != "":
			return 200, all[path]
		}
		return 404, `"Not found"`
	}
}
