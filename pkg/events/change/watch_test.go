package change_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

func TestWatch(t *testing.T) {
	t.Parallel()
	m := startMirror(t)
	w := m.watch()
	w.want(t, ".")
	const odd = `{"id":"4711", "title":"Größe <b>", "n":1.50}`
	revision := m.put("task", "4711", odd, change.HeaderCause, "e-1 e-2", change.HeaderChange, "17")
	s := w.want(t, "task.4711")[0]
	want := change.State{
		Cloud: "acme", Resource: "task", ID: "4711", Revision: revision, Data: []byte(odd), ReadAt: readAt, Origin: "event", Causes: []string{"e-1", "e-2"}, Change: 17,
	}
	if fmt.Sprint(s) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
	m.put("project", "1", `{}`)
	m.put("task", "2", `{}`)
	m.put("task", "4711", "")
	if gone := w.want(t, "project.1", "task.2", "task.4711-")[2]; gone.Status != 404 || len(gone.Data) != 0 || !gone.ReadAt.Equal(readAt) {
		t.Errorf("got %+v", gone)
	}
	m.put("task", "2", `{"a":1}`)
	w.want(t, "task.2")
	m.watch().want(t, "project.1", "task.4711-", "task.2", ".") // in the order of the last revisions
	one := m.watch(change.OnlyID("1"))
	one.want(t, "project.1", ".")
	w.stop()
	if err := <-w.done; err != nil {
		t.Error(err)
	}
	w.done <- nil

	var tasks []string
	err := change.Watch(t.Context(), m.js, "acme", "task", func(_ context.Context, s change.State) error {
		tasks = append(tasks, s.ID)
		if s.ID == "2" {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) || !slices.Equal(tasks, []string{"4711", "2"}) {
		t.Errorf("got %v, %v", tasks, err)
	}
	stream, err := m.js.Stream(t.Context(), "KV_FACTRO_STATE_ACME")
	if err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "only the consumer of the watch that goes on is left", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Consumers == 2
	})
}

// Without a bucket there is nothing to watch.
func TestWatchWithoutBucket(t *testing.T) {
	t.Parallel()
	m := startMirror(t)
	err := change.Watch(t.Context(), m.js, "acme", "task", nil, change.WithPrefix("works"))
	if !errors.Is(err, jetstream.ErrStreamNotFound) || !strings.Contains(err.Error(), "WORKS_STATE_ACME") {
		t.Errorf("got %v", err)
	}
	m.js.Conn().Close()
	if err := change.Watch(t.Context(), m.js, "acme", "task", nil); err == nil {
		t.Error("a closed connection is no error")
	}
}

// TestWatchOutages: states are written while the broker restarts and consumers are deleted. Each object comes with its last
// state, and none goes back.
func TestWatchOutages(t *testing.T) {
	t.Parallel()
	const objects, rounds = 40, 6
	m := startMirror(t)
	for n := range objects {
		m.put("task", strconv.Itoa(n), `{"round":"first"}`)
	}
	w := m.watch(change.WithLog(slog.New(slog.DiscardHandler)))
	w.snapshot(t)
	written := make(chan struct{})
	go func() {
		defer close(written)
		for round := range rounds {
			for n := range objects {
				m.put("task", strconv.Itoa(n), fmt.Sprintf(`{"round":"%d"}`, round))
				if n != objects/2 {
					continue
				}
				if round%2 == 0 {
					m.Stop()
					m.Start()
				} else {
					m.deleteConsumers(t)
				}
			}
		}
	}()
	last, final, ends := map[string]uint64{}, 0, 1
	for final < objects {
		select {
		case s := <-w.got:
			if s.ID == "" {
				ends++
				continue
			}
			if s.Revision <= last[s.ID] {
				t.Errorf("%s comes with revision %d after %d", s.ID, s.Revision, last[s.ID])
			}
			last[s.ID] = s.Revision
			if string(s.Data) == fmt.Sprintf(`{"round":"%d"}`, rounds-1) {
				final++
			}
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d objects came", final, objects)
		}
	}
	if <-written; ends != 1 || len(last) != objects {
		t.Errorf("the snapshot ended %d times; %d objects", ends, len(last))
	}
}

func (m *mirror) deleteConsumers(t *testing.T) {
	t.Helper()
	stream, err := m.js.Stream(t.Context(), "KV_FACTRO_STATE_ACME")
	if err != nil {
		t.Error(err)
		return
	}
	for name := range stream.ConsumerNames(t.Context()).Name() {
		if err := stream.DeleteConsumer(t.Context(), name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			t.Error(err)
		}
	}
}

// TestWatchManyObjects: a snapshot that is cut short goes on where it was.
func TestWatchManyObjects(t *testing.T) {
	t.Parallel()
	const objects = 3000
	m := startMirror(t)
	var names []string
	for n := range objects {
		if _, err := m.js.PublishAsync("$KV.FACTRO_STATE_ACME."+change.Key("acme", "task", strconv.Itoa(n)), []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		names = append(names, "task."+strconv.Itoa(n))
	}
	<-m.js.PublishAsyncComplete()
	w := m.watch(change.WithLog(slog.New(slog.DiscardHandler)))
	w.want(t, names[:10]...)
	m.deleteConsumers(t)
	w.want(t, names[10:1000]...)
	m.deleteConsumers(t)
	w.want(t, append(names[1000:], ".")...)
}

// TestWatchBucketMadeAgain: its revisions begin at one again, and the watch starts over.
func TestWatchBucketMadeAgain(t *testing.T) {
	t.Parallel()
	m := startMirror(t)
	m.put("task", "1", `{}`)
	m.put("task", "2", `{}`)
	w := m.watch(change.WithLog(slog.New(slog.DiscardHandler)))
	w.want(t, "task.1", "task.2", ".")
	if err := m.js.DeleteKeyValue(t.Context(), "FACTRO_STATE_ACME"); err != nil {
		t.Fatal(err)
	}
	m.makeBucket()
	m.put("task", "3", `{}`)
	if s := w.want(t, "task.3", ".")[0]; s.Revision != 1 {
		t.Errorf("got revision %d", s.Revision)
	}
	m.put("task", "1", `{}`)
	w.want(t, "task.1")
}

func TestWatchEndsWithTheHandlersError(t *testing.T) {
	t.Parallel()
	m := startMirror(t)
	w := m.watch()
	w.want(t, ".")
	m.put("task", "1", `{}`, change.HeaderOrigin, "stop")
	if err := <-w.done; !errors.Is(err, errEnough) || !strings.Contains(err.Error(), "watch * of acme") {
		t.Errorf("got %v", err)
	}
	w.done <- nil
}

func TestGet(t *testing.T) {
	t.Parallel()
	m := startMirror(t)
	revision := m.put("task", "4711", `{"id":"4711","title":"Prüfung"}`, change.HeaderOrigin, "snapshot", change.HeaderChange, "nonsense")
	m.put("task", "gone", "", change.HeaderStatus, "403")
	s, err := change.Get(t.Context(), m.js, "acme", "task", "4711")
	if err != nil || s.Revision != revision || string(s.Data) != `{"id":"4711","title":"Prüfung"}` || s.Origin != "snapshot" || s.Change != 0 || s.Gone || s.ID != "4711" {
		t.Errorf("got %+v, %v", s, err)
	}
	for id, want := range map[string]string{"gone": "factro answered 403 at 2026-09-01T09:30:00Z", "none": "no such object", "a.b": "can be no key", "*": "can be no key"} {
		s, err := change.Get(t.Context(), m.js, "acme", "task", id)
		if !errors.Is(err, change.ErrNotFound) || !strings.Contains(err.Error(), want) || s.Gone != (id == "gone") {
			t.Errorf("%s: got %+v, %v", id, s, err)
		}
	}
	if _, err := change.Get(t.Context(), m.js, "beta", "task", "4711"); err == nil || errors.Is(err, change.ErrNotFound) || !strings.Contains(err.Error(), "FACTRO_STATE_BETA") {
		t.Errorf("without a bucket: %v", err)
	}
}

func TestAs(t *testing.T) {
	t.Parallel()
	type task struct {
		Title string
		N     any
	}
	got, err := change.As[task](change.State{Data: []byte(`{"title":"Prüfung","n":12345678901234567890}`)})
	if err != nil || got.Title != "Prüfung" || fmt.Sprint(got.N) != "12345678901234567890" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := change.As[task](change.State{Gone: true}); !errors.Is(err, change.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	for _, bad := range []string{"", "{", "{}{}", "[]"} {
		if got, err := change.As[task](change.State{Data: []byte(bad)}); err == nil || got != (task{}) {
			t.Errorf("%s: got %+v, %v", bad, got, err)
		}
	}
}
