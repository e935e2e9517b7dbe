package hostile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// command is one command. With a source it is a CloudEvent, else plain JSON.
type command struct {
	cloud       string
	resource    string // "task" if empty
	operation   string // "createTask" if empty
	id          string // one of ours if empty
	source      string
	data        string              // of a new task whose title is the id if empty
	header      map[string][]string // further headers, or others in place of ours
	unaccounted bool                // part of a flood, whose results aftermath does not wait for
}

// key tells commands apart in the books.
func (c command) key() string { return c.cloud + " " + c.id + " " + c.source }

// publish gives a command to the broker. What it acknowledges is remembered, and aftermath waits for its result.
func (w *world) publish(c command) (command, *jetstream.PubAck, error) {
	c.resource, c.operation, c.id = cmp.Or(c.resource, "task"), cmp.Or(c.operation, "createTask"), cmp.Or(c.id, uuid.NewString())
	if c.data == "" {
		c.data = fmt.Sprintf(`{"title":%q,"targetParentId":%q}`, c.id, factro.ExamplePackage)
	}
	msg := nats.NewMsg(prefix.Command(c.cloud, c.resource, c.operation))
	msg.Data = []byte(c.data)
	msg.Header.Set(events.HeaderMessageID, c.id)
	if c.source != "" {
		for name, value := range map[string]string{
			"ce-specversion": "1.0", "ce-id": c.id, "ce-source": c.source, "ce-type": events.CommandTypePrefix + c.operation,
			"content-type": "application/json",
		} {
			msg.Header[name] = []string{value}
		}
	}
	maps.Copy(msg.Header, c.header)
	ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
	defer cancel()
	ack, err := w.js.PublishMsg(ctx, msg)
	if err != nil {
		return c, nil, fmt.Errorf("publish command %s: %w", c.id, err)
	}
	if !c.unaccounted {
		w.books.expect(c)
	}
	return c, ack, nil
}

// send is publish for a command that the broker has to take.
func (w *world) send(c command) command {
	w.t.Helper()
	c, _, err := w.publish(c)
	must(w.t, err)
	return c
}

// result waits for the final result of a command.
func (w *world) result(c command) result {
	w.t.Helper()
	var r result
	w.await("the result of command "+c.id+" of "+c.cloud, func() (ok bool) {
		r, ok = w.books.resultOf(c)
		return ok
	})
	return r
}

// query asks a question and returns the answer.
func (w *world) query(cloud, resource, operation, data string, timeout time.Duration) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(w.ctx, timeout)
	defer cancel()
	msg, err := w.nc.RequestWithContext(ctx, prefix.Query(cloud, resource, operation), []byte(data))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", operation, err)
	}
	return msg, nil
}

// figures are how long a cloud's webhooks and commands took.
type figures struct {
	webhooks, commands []time.Duration // in ascending order
}

// measure sends some webhooks and some commands of a cloud, one after the other, as its owner does.
func (w *world) measure(cloud string) (f figures) {
	w.t.Helper()
	receivers := w.with("ingress")
	for n := 0; n < 20 && len(receivers) > 0; n++ {
		a := w.post(webhook{cloud: cloud, node: receivers[n%len(receivers)]})
		if f.webhooks = append(f.webhooks, a.took); a.status != http.StatusAccepted {
			w.t.Errorf("a webhook of %s: %d %s %v, want 202", cloud, a.status, a.body, a.err)
		}
	}
	if len(w.with("egress")) == 0 {
		return f.sorted()
	}
	for range 5 {
		began := time.Now()
		c, _, err := w.publish(command{cloud: cloud})
		if err != nil {
			w.t.Errorf("a command of %s: %v", cloud, err)
			continue
		}
		if r := w.result(c); r.outcome != events.Applied {
			w.t.Errorf("a command of %s is %s: %s, want applied", cloud, r.outcome, r.data)
		}
		f.commands = append(f.commands, time.Since(began))
	}
	return f.sorted()
}
