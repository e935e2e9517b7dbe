package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// message is an event as a subscriber gets it.
type message struct {
	subject string
	header  nats.Header
	event   event.Event
	data    []byte
}

func (m message) result(t testing.TB) events.Result {
	t.Helper()
	var r events.Result
	if err := json.Unmarshal(m.event.Data(), &r); err != nil {
		t.Fatalf("%s: %v", m.subject, err)
	}
	return r
}

// deadLetters waits for so many dead letters. They are stored after the results of their commands.
func deadLetters(t testing.TB, js jetstream.JetStream, filter string, n int) (found []message) {
	t.Helper()
	waitFor(t, fmt.Sprint(n, " dead letters"), func() bool {
		found = read(t, js, prefix.DeadStream("acme"), filter)
		return len(found) >= n
	})
	return found
}

// read returns what a stream holds now under a subject.
func read(t testing.TB, js jetstream.JetStream, stream, filter string) []message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { // a stream has 1,000 consumers at most, and a test may look more often
		if last := c.CachedInfo(); last != nil {
			_ = js.DeleteConsumer(context.WithoutCancel(ctx), stream, last.Name)
		}
	}()
	var out []message
	for {
		batch, err := c.FetchNoWait(1000)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for m := range batch.Messages() {
			n++
			out = append(out, newMessage(m.Subject(), m.Headers(), m.Data()))
		}
		if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) {
			t.Fatal(err)
		}
		if n == 0 {
			return out
		}
	}
}

func newMessage(subject string, header nats.Header, data []byte) message {
	m := message{subject: subject, header: header, data: data}
	m.event, _ = events.FromMsg(header, data) // a dead letter may be no event
	return m
}

// watch collects what comes into a stream, from its beginning.
type watch struct {
	mu   sync.Mutex
	seen []message
}

func watchStream(t testing.TB, js jetstream.JetStream, stream string) *watch {
	t.Helper()
	c, err := js.OrderedConsumer(t.Context(), stream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{}
	cc, err := c.Consume(func(m jetstream.Msg) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.seen = append(w.seen, newMessage(m.Subject(), m.Headers(), m.Data()))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cc.Stop)
	return w
}

func (w *watch) all() []message {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]message(nil), w.seen...)
}

// find waits for a message that matches.
func (w *watch) find(t testing.TB, what string, match func(message) bool) message {
	t.Helper()
	var found message
	waitFor(t, what, func() bool {
		for _, m := range w.all() {
			if match(m) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// finalOf waits for the final result of a command.
func (w *watch) finalOf(t testing.TB, id string) events.Result {
	t.Helper()
	return w.finalMessageOf(t, id).result(t)
}

func (w *watch) finalMessageOf(t testing.TB, id string) message {
	t.Helper()
	return w.find(t, "a final result of "+id, func(m message) bool {
		return m.event.Extensions()[attr.CausationID] == id && !strings.HasSuffix(m.subject, "."+string(events.Deferred))
	})
}

// send publishes a plain JSON command, as "nats pub" would, with its id.
func send(t testing.TB, js jetstream.JetStream, cloud, operation, id, data string) {
	t.Helper()
	msg := nats.NewMsg(subjectOf(t, cloud, operation))
	msg.Data = []byte(data)
	msg.Header.Set(events.HeaderMessageID, id)
	publish(t, js, msg)
}

func publish(t testing.TB, js jetstream.JetStream, msg *nats.Msg) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		_, err := js.PublishMsg(ctx, msg)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("publish %s: %v", msg.Subject, err)
		}
	}
}

// queued is the number of commands that are not settled.
func queued(t testing.TB, js jetstream.JetStream) uint64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := js.Stream(ctx, prefix.CommandStream("acme"))
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}
