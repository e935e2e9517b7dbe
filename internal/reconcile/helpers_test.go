package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/ensure"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const prefix = events.Prefix(events.DefaultPrefix)

// broker is a real broker, and the bus on it.
type broker struct {
	t   testing.TB
	bus stream
	js  jetstream.JetStream

	leases *lease.Leases
}

// stream is the stream of events, to read and to write.
type stream struct {
	*bus.Conn
	*publish.Publisher
	*journal.Journal
	*deadletter.Store
}

// startBroker starts a server and a bus for some clouds; for acme if none is named.
func startBroker(t testing.TB, clouds ...string) *broker {
	t.Helper()
	if len(clouds) == 0 {
		clouds = []string{"acme"}
	}
	s := natstest.Start(t)
	b, streams, err := ensure.Connect(bus.Config{
		URL: s.URL(), Name: "test", Prefix: prefix, Clouds: clouds, Replicas: 1, Manage: true, DrainTimeout: time.Second,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		b.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	_, js := s.Connect(t)
	natstest.Eventually(t, "the bus is ready", func() bool { return b.Health().Ready() == nil })
	publisher, err := publish.New(t.Context(), b, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	letters, err := deadletter.New(t.Context(), b, publisher, objects.NewOriginals(b, streams, slog.New(slog.DiscardHandler)), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &broker{t, stream{b, publisher, journal.Of(b), letters}, js, lease.New(b, streams, slog.New(slog.DiscardHandler))}
}

// stored returns the events of a cloud in the stream.
func (b *broker) stored(cloud string) []journal.Message {
	b.t.Helper()
	var all []journal.Message
	_, err := b.bus.Events(b.t.Context(), cloud, time.Time{}, func(m journal.Message) { all = append(all, m) })
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// happening is something that happened at factro.
type happening struct {
	id, action, entity string
	at                 time.Time
	lost               bool // its webhook never came
	late               bool // its record does not show up yet
}

// variant is a factro as it could be.
type variant struct {
	nullIDs  bool
	context  string // of the records: "" as delivered, named, nested, number, empty, other
	wide     string // deliveries: "" is thin, own carries the record's id, other one of its own, times only createdAt
	shuffled bool
	late     bool          // some records show up late
	skew     time.Duration // how far factro's clock is ahead
	delay    time.Duration // most that a delivery takes
	foreign  bool          // there are webhooks that call somebody else
}

// cloud is a simulated factro and the bridge's view of it. It is a Payloads.
type cloud struct {
	name    string
	v       variant
	source  *rand.Rand
	mu      sync.Mutex
	log     []happening
	reads   int
	prelude func() // runs before a list is given out
}

var (
	testActions  = []string{"TaskStateChanged", "TaskCreated", "WorkRecordCreated", "Übergabe erledigt"}
	testEntities = []string{"t-1", "t-2", "Größe 3", "00000000-0000-4000-8000-000000000004"}
)

// happen has n things happen in the time before until, some of them within a second, and delivers what is not lost.
func (c *cloud) happen(t testing.TB, b *broker, n int, until time.Time, within time.Duration, loss float64) {
	t.Helper()
	type delivery struct {
		happening
		at time.Time
	}
	var deliveries []delivery
	at := until.Add(-within)
	for range n {
		if c.source.IntN(4) > 0 { // else it follows within the second, or in the same millisecond
			at = at.Add(time.Duration(c.source.Int64N(int64(within)/int64(n)) + 1))
		} else {
			at = at.Add(time.Duration(c.source.IntN(2)) * 300 * time.Millisecond)
		}
		h := happening{
			id: fmt.Sprintf("%s-%d", c.name, len(c.log)), action: testActions[c.source.IntN(len(testActions))],
			entity: testEntities[c.source.IntN(len(testEntities))], at: at.Truncate(time.Millisecond),
			lost: c.source.Float64() < loss, late: c.v.late && c.source.IntN(4) == 0,
		}
		c.log = append(c.log, h)
		if !h.lost {
			deliveries = append(deliveries, delivery{h, h.at.Add(time.Duration(c.source.Int64N(int64(c.v.delay) + 1)))})
		}
	}
	slices.SortFunc(deliveries, func(a, b delivery) int { return a.at.Compare(b.at) })
	for _, d := range deliveries {
		c.deliver(t, b, d.happening, d.at)
	}
}

// deliver has the webhook of something arrive.
func (c *cloud) deliver(t testing.TB, b *broker, h happening, at time.Time) {
	t.Helper()
	body := map[string]any{"action": h.action, "context": map[string]any{"entityId": h.entity}}
	switch c.v.wide {
	case "own":
		body["id"] = h.id
	case "other":
		body["id"] = "delivery of " + h.id
	}
	if c.v.wide != "" {
		body["createdAt"] = h.at.Add(c.v.skew).Format(time.RFC3339Nano)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	e, err := translate.Webhook(raw, translate.Receipt{
		Cloud: c.name, Source: "urn:factro:cloud:" + c.name, At: at, Origin: "webhook", NewID: func() string { return "minted " + h.id },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.bus.Publish(t.Context(), prefix.Event(c.name, e.Resource, e.EntityID, e.Action), e.Event, c.name+"."+e.ID()); err != nil {
		t.Fatal(err)
	}
}

func (c *cloud) Stored(_ context.Context, since time.Time, each func([]byte) error) error {
	if c.prelude != nil {
		c.prelude()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads++
	var out [][]byte
	for _, h := range c.log {
		if h.late || h.at.Before(since) {
			continue
		}
		for _, callback := range []string{"https://bridge.example.com/webhooks/" + c.name, "https://else.example.com/hooks"} {
			raw, err := json.Marshal(c.record(h, callback))
			if err != nil {
				return err
			}
			out = append(out, raw)
			if !c.v.foreign {
				break
			}
		}
	}
	if c.v.shuffled {
		c.source.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	for _, raw := range out {
		if err := each(raw); err != nil {
			return err
		}
	}
	return nil
}

func (c *cloud) record(h happening, callback string) map[string]any {
	r := map[string]any{
		"id": h.id, "webhookId": "w-1", "action": h.action, "createdAt": h.at.Add(c.v.skew).Format(time.RFC3339Nano), "mandantId": "m-1",
		"deliveryStatus": "delivered", "deliveryAttempts": 1,
		"webhook": map[string]any{"callbackUri": callback, "authenticationHeaderValue": nil},
	}
	switch c.v.context {
	case "named":
		r["context"] = map[string]any{"taskId": h.entity, "taskState": "review"}
	case "nested":
		r["context"] = map[string]any{"object": map[string]any{"ids": []string{"unrelated", h.entity}}, "count": 7}
	case "empty":
		r["context"] = map[string]any{}
	case "other": // something that the delivery does not name
		r["context"] = map[string]any{"projectId": "project of " + h.action}
	default:
		r["context"] = map[string]any{"entityId": h.entity}
	}
	if callback[8] == 'e' {
		r["id"] = "foreign " + h.id
	}
	if c.v.nullIDs {
		r["id"], r["webhookId"] = nil, nil
		if !c.v.foreign {
			r["webhook"] = nil
		}
	}
	return r
}

// surface has all records show up.
func (c *cloud) surface() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.log {
		c.log[i].late = false
	}
}

func (c *cloud) lost() int {
	n := 0
	for _, h := range c.log {
		if h.lost {
			n++
		}
	}
	return n
}

func timing() Timing { return Timing{Every: time.Minute, Overlap: time.Hour, Grace: time.Minute} }

func (c *cloud) reconciler(t testing.TB, b *broker, change ...func(*Config)) *Reconciler {
	t.Helper()
	cfg := Config{Cloud: c.name, Source: "urn:factro:cloud:" + c.name, Prefix: prefix, Timing: timing()}
	for _, f := range change {
		f(&cfg)
	}
	r, err := New(cfg, c, b.bus, b.leases, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// once makes a run that must succeed.
func once(t testing.TB, r *Reconciler, q Request) Report {
	t.Helper()
	report, err := r.Once(t.Context(), q)
	if err != nil {
		t.Fatalf("%v: %d missing, %d published", err, report.Missing, report.Published)
	}
	return report
}

// wantLog is the test that the stream has each thing that happened exactly once. byEntity looks at the entity as well,
// which a record need not name.
func (c *cloud) wantLog(t testing.TB, b *broker, byEntity bool) {
	t.Helper()
	key := func(action, entity string) string {
		if !byEntity {
			return action
		}
		return action + " of " + entity
	}
	want, got, ids := map[string]int{}, map[string]int{}, map[string]bool{}
	for _, h := range c.log {
		want[key(h.action, h.entity)]++
	}
	for _, m := range b.stored(c.name) {
		if m.Broken != nil {
			t.Fatalf("a message is no event: %v", m.Broken)
		}
		if m.Event.Source() != "urn:factro:cloud:"+c.name { // the bridge's own
			continue
		}
		e, err := translate.Webhook(m.Event.Data(), translate.Receipt{Source: "urn:x", NewID: func() string { return "" }})
		if err != nil {
			t.Fatal(err)
		}
		_, entity, _ := cut(m.Event.Subject())
		got[key(e.Action, entity)]++
		if ids[m.Event.ID()] {
			t.Errorf("the event %s is there twice", m.Event.ID())
		}
		ids[m.Event.ID()] = true
	}
	if !maps.Equal(got, want) {
		t.Errorf("the stream has\n%v, factro\n%v", got, want)
	}
}

func cut(subject string) (resource, id string, ok bool) {
	for i := range subject {
		if subject[i] == '/' {
			return subject[:i], subject[i+1:], true
		}
	}
	return "", "", false
}
