package state_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/bus/state"
	"github.com/factro-bridge/factro-bridge/internal/diff"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// world is a store on a real broker.
type world struct {
	t     *testing.T
	store *state.Store
	js    jetstream.JetStream
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server := natstest.Start(t)
	conn := bustest.Running(t, server, bustest.Clouds("acme"))
	_, js := server.Connect(t)
	if _, err := js.CreateOrUpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "FACTRO_STATE_ACME"}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "FACTRO_CHANGES_ACME", Subjects: []string{"factro.change.acme.>"}}); err != nil {
		t.Fatal(err)
	}
	publisher, err := publish.New(t.Context(), conn, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &world{t, state.New(conn, publisher, "acme"), js}
}

func (w *world) get() state.Known {
	w.t.Helper()
	k, err := w.store.Get(w.t.Context(), "task", "1")
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

// publish publishes the change of an object, and returns its place.
func (w *world) publish(k state.Known, what, data string) (uint64, error) {
	w.t.Helper()
	e := event.New()
	e.SetID(fmt.Sprintf("%d-%s", k.Revision, data))
	e.SetType("com.factro.change.task." + what)
	e.SetSource("urn:x")
	e.SetTime(time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC))
	if err := e.SetData(event.ApplicationJSON, []byte(data)); err != nil {
		w.t.Fatal(err)
	}
	return w.store.Publish(w.t.Context(), k, what, false, e)
}

var reading = state.Reading{At: time.Date(2026, 11, 30, 9, 0, 0, 1, time.UTC), Origin: change.OriginEvent, Causes: []string{"e-1", "e 2"}}

func (w *world) write(k state.Known, text string, sequence uint64) {
	w.t.Helper()
	if err := w.store.Write(w.t.Context(), k, []byte(text), reading, sequence); err != nil {
		w.t.Fatal(err)
	}
}

// TestState: an object is kept byte for byte, and goes with its status. Whoever looked at it before somebody else wrote it writes nothing.
func TestState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	never := w.get()
	if never.Revision != 0 || never.Object != nil {
		t.Errorf("an object that nobody knows: %+v", never)
	}
	const text = `{ "id":"1",  "title":"Prüfung" }`
	w.write(never, text, 0)
	kv, err := w.js.KeyValue(t.Context(), "FACTRO_STATE_ACME")
	if err != nil {
		t.Fatal(err)
	}
	if e, err := kv.Get(t.Context(), "acme.task.1"); err != nil || string(e.Value()) != text {
		t.Errorf("got %v, %v", e, err)
	}
	known := w.get()
	if string(known.Text) != text || !known.Read.Equal(reading.At) || known.Revision == 0 {
		t.Errorf("got %+v", known)
	}
	if err := w.store.Write(t.Context(), never, []byte(`{}`), reading, 0); !errors.Is(err, state.ErrOvertaken) {
		t.Errorf("an entry that was written meanwhile: %v", err)
	}
	if err := w.store.Remove(t.Context(), known, 403, reading, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Get(t.Context(), "acme.task.1"); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("an object that is gone: %v", err)
	}
	if k := w.get(); k.Object != nil || k.Status != 403 || k.Revision <= known.Revision {
		t.Errorf("got %+v", k)
	}
	var ids []string
	w.write(w.get(), text, 0)
	if err := w.store.Each(t.Context(), "task", func(id string, read time.Time) { ids = append(ids, id+" "+read.Format(time.RFC3339)) }); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(ids, ","); got != "1 2026-11-30T09:00:00Z" {
		t.Errorf("the objects are %s", got)
	}
	msg, err := w.js.Stream(t.Context(), "KV_FACTRO_STATE_ACME")
	if err != nil {
		t.Fatal(err)
	}
	last, err := msg.GetLastMsgForSubject(t.Context(), "$KV.FACTRO_STATE_ACME.acme.task.1")
	if err != nil || last.Header.Get(change.HeaderCause) != "e-1 e_2" || last.Header.Get(change.HeaderOrigin) != "event" || last.Header.Get(change.HeaderChange) != "" {
		t.Errorf("the headers are %v, %v", last.Header, err)
	}
}

// TestCrash: a crash between a change and the entry loses nothing, whatever the change was.
func TestCrash(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ before, what, data, want string }{
		"created": {"", change.Created, `{"before":{},"after":{"id":"1","a":1},"changed":["a","id"]}`, `{"a":1,"id":"1"}`},
		"updated": {`{"id":"1","a":1,"b":2}`, change.Updated, `{"before":{"a":1,"b":2},"after":{"a":2},"changed":["a","b"]}`, `{"a":2,"id":"1"}`},
		"deleted": {`{"id":"1","a":1}`, change.Deleted, `{"before":{"id":"1","a":1},"after":{},"changed":["a","id"],"status":404}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tt.before != "" {
				w.write(w.get(), tt.before, 0)
			}
			known := w.get()
			sequence, err := w.publish(known, tt.what, tt.data)
			if err != nil || sequence != 1 {
				t.Fatalf("%d, %v", sequence, err)
			}
			// Here the bridge dies. The next one looks at the object.
			pending := w.get()
			settled, err := w.store.Settle(t.Context(), pending)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if pending.Object != nil || settled.Object != nil || settled.Status != 404 {
					t.Errorf("got %+v, and then %+v", pending, settled)
				}
			} else {
				want, _ := diff.Parse([]byte(tt.want))
				if !diff.Between(pending.Object, want, nil).None() || !diff.Between(settled.Object, want, nil).None() {
					t.Errorf("got %s, and then %s", pending.Object, settled.Object)
				}
			}
			if at := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC); !settled.Read.Equal(at) || settled.Dropped != (tt.want != "") {
				t.Errorf("it is of %s, and not all that factro answered: %t", settled.Read, settled.Dropped)
			}
			again, err := w.store.Settle(t.Context(), settled)
			if err != nil || again.Revision != settled.Revision || settled.Change != 1 || settled.Revision <= known.Revision {
				t.Errorf("settled: %+v, again: %+v, %v", settled, again, err)
			}
		})
	}
}

// TestOvertaken: who has stood still publishes no change after somebody else has, of whatever kind.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write(w.get(), `{"id":"1","a":1}`, 0)
	old := w.get()
	sequence, err := w.publish(w.get(), change.Updated, `{"before":{"a":1},"after":{"a":2},"changed":["a"]}`)
	if err != nil {
		t.Fatal(err)
	}
	w.write(w.get(), `{"id":"1","a":2}`, sequence)
	for _, what := range []string{change.Updated, change.Deleted} {
		if _, err := w.publish(old, what, `{"before":{"a":1},"after":{"a":3},"changed":["a"]}`); !errors.Is(err, state.ErrOvertaken) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := w.publish(w.get(), change.Deleted, `{"before":{"a":2},"after":{},"changed":["a"]}`); err != nil {
		t.Error(err)
	}
}
