package journal_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// TestEvents: the events of one cloud since a time, and what the stream has lost of them.
func TestEvents(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Running(t, server, bustest.Clouds("acme", "beta"))
	publish := func(cloud, id string) {
		t.Helper()
		if err := bustest.Publisher(t, b).Publish(t.Context(), "factro.event."+cloud+".task.x.TaskCreated", bustest.TaskEvent(t, id), cloud+"."+id); err != nil {
			t.Fatal(err)
		}
	}
	read := func(since time.Time) (ids []string, whole time.Time) {
		t.Helper()
		whole, err := journal.Of(b).Events(t.Context(), "acme", since, func(m journal.Message) { ids = append(ids, m.Event.ID()) })
		if err != nil {
			t.Fatal(err)
		}
		return ids, whole
	}
	if ids, whole := read(time.Time{}); len(ids) != 0 || !whole.IsZero() {
		t.Errorf("an empty stream has %v since %s", ids, whole)
	}
	for _, id := range []string{"1", "2", "3"} {
		publish("acme", id)
		publish("beta", id)
	}
	if ids, whole := read(time.Now().Add(-time.Hour)); len(ids) != 3 || ids[0] != "1" || ids[2] != "3" || !whole.IsZero() {
		t.Errorf("the stream has %v since %s", ids, whole)
	}
	if ids, _ := read(time.Now().Add(time.Hour)); len(ids) != 0 {
		t.Errorf("from tomorrow on the stream has %v", ids)
	}
	s := bustest.Connected(t, server).Stream("FACTRO_EVENTS_ACME")
	if err := s.Purge(t.Context(), jetstream.WithPurgeSequence(2)); err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if ids, whole := read(time.Time{}); len(ids) != 2 || !whole.Equal(info.State.FirstTime) {
		t.Errorf("after a purge the stream has %v since %s", ids, whole)
	}
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ids, whole := read(time.Time{}); len(ids) != 0 || whole.IsZero() {
		t.Errorf("an emptied stream has %v since %s", ids, whole)
	}
}
