package change_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// readAt is when everything here was read.
var readAt = time.Date(2026, 9, 1, 9, 30, 0, 0, time.UTC)

// mirror writes states and changes of the cloud acme as a bridge's mirror does.
type mirror struct {
	*natstest.Server

	t  testing.TB
	js jetstream.JetStream
}

func startMirror(t testing.TB) *mirror {
	t.Helper()
	m := &mirror{Server: natstest.Start(t), t: t}
	_, m.js = m.Connect(t)
	m.makeBucket()
	if _, err := m.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "FACTRO_CHANGES_ACME", Subjects: []string{"factro.change.acme.>"}, AllowDirect: true}); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mirror) makeBucket() {
	m.t.Helper()
	if _, err := m.js.CreateKeyValue(m.t.Context(), jetstream.KeyValueConfig{Bucket: change.Bucket("factro", "acme"), History: 1}); err != nil {
		m.t.Fatal(err)
	}
}

// put writes a state and returns its revision. Without data the object is gone.
func (m *mirror) put(resource, id, data string, headers ...string) uint64 {
	m.t.Helper()
	msg := nats.NewMsg("$KV." + change.Bucket("factro", "acme") + "." + change.Key("acme", resource, id))
	msg.Data = []byte(data)
	msg.Header.Set(change.HeaderReadAt, readAt.Format(time.RFC3339Nano))
	msg.Header.Set(change.HeaderOrigin, change.OriginEvent)
	if data == "" {
		msg.Header.Set("KV-Operation", "DEL")
		msg.Header.Set(change.HeaderStatus, "404")
	}
	for i := 0; i < len(headers); i += 2 {
		msg.Header.Set(headers[i], headers[i+1])
	}
	return m.store(msg)
}

// changed publishes a change.
func (m *mirror) changed(what, resource, id, data string, from uint64, more ...func(*event.Event)) uint64 {
	m.t.Helper()
	e := event.New()
	e.SetID(fmt.Sprintf("acme.%s.%s.%d.%s", resource, id, from, what))
	e.SetSource("urn:factro:cloud:acme")
	e.SetType(change.TypePrefix + resource + "." + what)
	e.SetSubject(id)
	e.SetTime(readAt)
	e.SetDataContentType("application/json")
	e.DataEncoded = []byte(data)
	e.SetExtension(attr.CausationID, "e-1 e-2")
	for _, f := range more {
		f(&e)
	}
	msg, err := events.ToMsg(change.Subject("factro", "acme", resource, id, what), e)
	if err != nil {
		m.t.Fatal(err)
	}
	msg.Header.Set(change.HeaderStateFrom, strconv.FormatUint(from, 10))
	return m.store(msg)
}

// store writes a message, and again while the broker is away.
func (m *mirror) store(msg *nats.Msg) uint64 {
	m.t.Helper()
	for {
		ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Second)
		ack, err := m.js.PublishMsg(ctx, msg)
		cancel()
		if err == nil {
			return ack.Sequence
		}
		if m.t.Context().Err() != nil || strings.Contains(err.Error(), "wrong last") {
			m.t.Fatal(err)
		}
	}
}

// watching is a watch whose states a test takes one by one.
type watching struct {
	got  chan change.State
	done chan error
	stop context.CancelFunc
}

// watch watches all resources. The state without an ID is the end of the snapshot.
func (m *mirror) watch(opts ...change.Option) *watching {
	ctx, cancel := context.WithCancel(m.t.Context())
	w := &watching{got: make(chan change.State, 4096), done: make(chan error, 1), stop: cancel}
	opts = append([]change.Option{change.OnCurrent(func() { w.got <- change.State{} })}, opts...)
	go func() {
		w.done <- change.Watch(ctx, m.js, "acme", events.Any, func(_ context.Context, s change.State) error {
			if s.Origin == "stop" {
				return errEnough
			}
			w.got <- s
			return nil
		}, opts...)
	}()
	m.t.Cleanup(func() { cancel(); <-w.done })
	return w
}

var errEnough = errors.New("this is enough")

// want takes as many states as there are names, which are <resource>.<id> with a minus behind it if it is gone, or "." for the end
// of the snapshot.
func (w *watching) want(t *testing.T, names ...string) (all []change.State) {
	t.Helper()
	for i, want := range names {
		select {
		case s := <-w.got:
			name := s.Resource + "." + s.ID
			if s.Gone {
				name += "-"
			}
			if name != want {
				t.Fatalf("state %d is %s, want %s", i, name, want)
			}
			all = append(all, s)
		case err := <-w.done:
			w.done <- err
			t.Fatalf("the watch ended: %v", err)
		case <-time.After(30 * time.Second):
			t.Fatalf("%s does not come", want)
		}
	}
	return all
}

// snapshot takes all states until the snapshot is over.
func (w *watching) snapshot(t *testing.T) {
	t.Helper()
	for {
		select {
		case s := <-w.got:
			if s.ID == "" {
				return
			}
		case err := <-w.done:
			w.done <- err
			t.Fatalf("the watch ended: %v", err)
		case <-time.After(time.Minute):
			t.Fatal("the snapshot does not end")
		}
	}
}
