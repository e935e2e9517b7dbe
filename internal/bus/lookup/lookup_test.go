package lookup_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/lookup"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/bus/state"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

func TestMain(m *testing.M) { bustest.Main(m) }

const text = `{ "id":"1",  "title":"Prüfung" }`

// world is a broker with the streams of a mirror, which the test plays.
type world struct {
	t     *testing.T
	conn  *bus.Conn
	js    jetstream.JetStream
	store *state.Store
	copy  *lookup.Copy
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server := natstest.Start(t)
	conn := bustest.Running(t, server, bustest.Clouds("acme"))
	_, js := server.Connect(t)
	publisher, err := publish.New(t.Context(), conn, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, conn: conn, js: js, store: state.New(conn, publisher, "acme"), copy: lookup.New(conn, "acme")}
}

func (w *world) bucket(name string) jetstream.KeyValue {
	w.t.Helper()
	kv, err := w.js.CreateOrUpdateKeyValue(w.t.Context(), jetstream.KeyValueConfig{Bucket: name, History: 1})
	if err != nil {
		w.t.Fatal(err)
	}
	return kv
}

// created is when the stream of events was made.
func (w *world) created() time.Time {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), "FACTRO_EVENTS_ACME")
	if err != nil {
		w.t.Fatal(err)
	}
	return s.CachedInfo().Created
}

// progress is what the mirror keeps in its lease.
func (w *world) progress(next uint64, changes ...func(*state.Progress)) {
	w.t.Helper()
	p := state.Progress{Created: w.created(), Next: next, Resources: []string{"project", "task"}, Complete: time.Now()}
	for _, c := range changes {
		c(&p)
	}
	value, err := json.Marshal(map[string]any{"holder": "x", "value": p})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.bucket("FACTRO_RECONCILE").Put(w.t.Context(), "mirror.acme", value); err != nil {
		w.t.Fatal(err)
	}
}

// write writes the copy of the task 1, which was read so long ago.
func (w *world) write(ago time.Duration, changes ...func(*state.Reading)) {
	w.t.Helper()
	k, err := w.store.Entry(w.t.Context(), "task", "1")
	if err != nil {
		w.t.Fatal(err)
	}
	r := state.Reading{At: time.Now().Add(-ago), Origin: change.OriginEvent}
	for _, c := range changes {
		c(&r)
	}
	if err := w.store.Write(w.t.Context(), k, []byte(text), r, 0); err != nil {
		w.t.Fatal(err)
	}
}

// event publishes an event of a task, and returns its place.
func (w *world) event(task, id string) uint64 {
	w.t.Helper()
	ack, err := w.js.PublishMsg(w.t.Context(), &nats.Msg{Subject: "factro.event.acme.task." + task + ".TaskChanged", Data: []byte("{}"), Header: nats.Header{
		"ce-specversion": {"1.0"}, "ce-id": {id}, "ce-source": {"urn:x"}, "ce-type": {"com.factro.task.TaskChanged"},
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	return ack.Sequence
}

func (w *world) want(outcome lookup.Outcome) lookup.Found {
	w.t.Helper()
	f := w.copy.Find(w.t.Context(), "task", "1", 30*time.Second)
	isFresh := outcome == lookup.Fresh
	if f.Outcome != outcome || isFresh != (string(f.Text) == text) || (f.Err != nil) != (outcome == lookup.Failed) {
		w.t.Errorf("got %s %s %s %v, want %s", f.Outcome, f.Text, f.Age, f.Err, outcome)
	}
	return f
}

// TestFind: a copy counts if it is new enough and the last event of the object is in it.
func TestFind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(lookup.Absent) // without a mirror
	w.bucket("FACTRO_STATE_ACME")
	w.want(lookup.Absent) // it has nothing
	w.write(10 * time.Second)
	w.want(lookup.Absent) // nobody has ever mirrored
	w.progress(1)
	if f := w.copy.Find(t.Context(), "task", "9", time.Hour); f.Outcome != lookup.Absent {
		t.Errorf("an object that the mirror has never seen: %+v", f)
	}
	if f := w.want(lookup.Fresh); f.Age < 10*time.Second || f.Age > 20*time.Second {
		t.Errorf("the age is %s", f.Age)
	}
	w.write(31 * time.Second)
	w.want(lookup.Stale)
	w.write(-time.Hour) // another clock
	if f := w.want(lookup.Fresh); f.Age != 0 {
		t.Errorf("the age is %s", f.Age)
	}

	first := w.event("1", "e 1")
	w.want(lookup.Waiting)
	w.progress(first)
	w.want(lookup.Waiting)
	w.progress(first + 1)
	w.want(lookup.Fresh)
	w.event("2", "e-2") // of another object
	w.want(lookup.Fresh)
	w.event("1", "e-3")
	w.want(lookup.Waiting)
	w.write(time.Second, func(r *state.Reading) { r.Causes = []string{"e 1"} })
	w.want(lookup.Waiting)
	w.write(time.Second, func(r *state.Reading) { r.Causes = []string{"e 1", "e-3"} })
	w.want(lookup.Fresh) // though the progress was not saved yet
}

// TestUnusable: what is not all that factro answered, or no longer followed, is not used.
func TestUnusable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bucket("FACTRO_STATE_ACME")
	w.write(0)
	last := w.event("1", "e-1")
	w.progress(last + 1)
	w.want(lookup.Fresh)
	for name, change := range map[string]func(*state.Progress){
		"the resource is not mirrored any more": func(p *state.Progress) { p.Resources = []string{"project"} },
		"the first copy is not complete":        func(p *state.Progress) { p.Complete = time.Time{} },
	} {
		t.Log(name)
		w.progress(last+1, change)
		w.want(lookup.Absent)
	}
	w.progress(last+1, func(p *state.Progress) { p.Created = p.Created.Add(-time.Hour) })
	w.want(lookup.Waiting) // the place is one in another stream
	w.progress(last + 1)
	w.write(0, func(r *state.Reading) { r.Dropped = true })
	w.want(lookup.Absent)
	w.write(0)
	w.want(lookup.Fresh)
	for _, id := range []string{"", "_", "1.2", "größe", ">"} {
		if f := w.copy.Find(t.Context(), "task", id, time.Hour); f.Outcome != lookup.Absent {
			t.Errorf("the id %q: %+v", id, f)
		}
	}
	k, err := w.store.Entry(t.Context(), "task", "1")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Remove(t.Context(), k, 404, state.Reading{At: time.Now(), Origin: change.OriginEvent}, 0); err != nil {
		t.Fatal(err)
	}
	w.want(lookup.Absent) // it is gone
	if _, err := w.js.Publish(t.Context(), "$KV.FACTRO_STATE_ACME.acme.task.1", []byte(text)); err != nil {
		t.Fatal(err)
	}
	w.want(lookup.Absent) // somebody else has written it
}

// TestFailed: while NATS does not answer, the requester does not wait for long.
func TestFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bucket("FACTRO_STATE_ACME")
	w.write(0)
	w.progress(1)
	if _, err := w.bucket("FACTRO_RECONCILE").PutString(t.Context(), "mirror.acme", "{"); err != nil {
		t.Fatal(err)
	}
	w.want(lookup.Failed)
	w.progress(1)
	w.want(lookup.Fresh)
	w.conn.Health().Refused(fmt.Errorf(`nats: permissions violation for publish to "$JS.API.STREAM.MSG.GET.FACTRO_EVENTS_ACME"`))
	w.want(lookup.Failed)
}

// TestNoAnswer: a requester waits no longer than a second for NATS.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	conn := bustest.Running(t, server, bustest.Clouds("acme"))
	server.Stop()
	began := time.Now()
	if f := lookup.New(conn, "acme").Find(t.Context(), "task", "1", time.Hour); f.Outcome != lookup.Failed || f.Err == nil {
		t.Errorf("got %+v", f)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("it took %s", d)
	}
}
