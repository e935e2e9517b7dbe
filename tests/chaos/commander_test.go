package chaos

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Objects of the simulator's tenant: a package for new tasks, and a task to be changed.
const (
	demoPackage = factro.ExamplePackage
	demoTask    = factro.ExampleTask
	demoProject = factro.ExampleProject
)

// commander publishes commands, each until the broker has acknowledged it.
type commander struct {
	w *world

	mu    sync.Mutex
	sent  map[string]string // id of the command -> title of the task that it creates, or "" for an update
	begun sync.WaitGroup
}

func newCommander(w *world) *commander { return &commander{w: w, sent: map[string]string{}} }

// start publishes so many a second, until stop is called or so many are sent. Every third is an update.
func (c *commander) start(perSecond, most int, updates bool) (stop func()) {
	ctx, cancel := context.WithCancel(c.w.ctx)
	c.begun.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for n := 1; most == 0 || n <= most; n++ {
			if ctx.Err() != nil {
				return
			}
			operation, id, title := "createTask", fmt.Sprintf("c%d", n), fmt.Sprintf("Prüfung %d", n)
			data := fmt.Sprintf(`{"title":%q,"targetParentId":%q}`, title, demoPackage)
			if updates && n%3 == 0 {
				operation, id, title, data = "updateTask", fmt.Sprintf("u%d", n), "", fmt.Sprintf(`{"taskId":%q,"title":"Stand %d"}`, demoTask, n)
			}
			c.send(operation, id, title, data) //nolint:contextcheck // ctx ends the load; what was begun is carried on with
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return cancel
}

func (c *commander) done() { c.begun.Wait() }

// send publishes one command. The id makes it one, however often it is published.
func (c *commander) send(operation, id, title, data string) {
	o := order{operation: operation, id: id, title: title, data: data}
	if n, err := strconv.Atoi(strings.TrimLeft(id, "abcdefghijklmnopqrstuvwxyz")); err == nil && c.w.set.lanes > 0 {
		o.attributes = map[string]string{attr.PartitionKey: fmt.Sprintf("lane-%d", n%c.w.set.lanes)}
	}
	c.publish(o)
}

// order is a command.
type order struct {
	cloud, operation, id string
	title                string // of the task that it creates, or ""
	data                 string
	attributes           map[string]string // it is a plain message without them
}

// makes is the command that creates a task with a number in its title.
func makes(n int, parent string) order {
	title := fmt.Sprintf("Prüfung %d", n)
	return order{operation: "createTask", id: fmt.Sprintf("c%d", n), title: title, data: fmt.Sprintf(`{"title":%q,"targetParentId":%q}`, title, parent)}
}

// changes is the command that gives the one task a title with a number.
func changes(n int) order {
	return order{operation: "updateTask", id: fmt.Sprintf("u%d", n), data: fmt.Sprintf(`{"taskId":%q,"title":"Prüfung %d"}`, demoTask, n)}
}

// with gives a command the key of its lane.
func (o order) with(key string) order {
	o.attributes = map[string]string{attr.PartitionKey: key}
	return o
}

func (o order) message() *nats.Msg {
	msg := nats.NewMsg(prefix.Command(cmp.Or(o.cloud, cloud), "task", o.operation))
	msg.Header.Set(events.HeaderMessageID, o.id)
	if len(o.attributes) > 0 {
		for name, value := range map[string]string{"specversion": "1.0", "id": o.id, "source": "urn:chaos", "type": events.CommandTypePrefix + o.operation} {
			msg.Header["ce-"+name] = []string{value}
		}
	}
	for name, value := range o.attributes {
		msg.Header["ce-"+name] = []string{value}
	}
	msg.Data = []byte(o.data)
	return msg
}

// publish publishes a command until the broker has it.
func (c *commander) publish(o order) {
	msg := o.message()
	for c.w.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(c.w.ctx, 2*time.Second)
		_, err := c.w.js.PublishMsg(ctx, msg)
		cancel()
		if err == nil {
			c.note(o)
			return
		}
		c.w.pause(50 * time.Millisecond)
	}
}

// pile publishes many commands at once, which the broker has when it returns.
func (c *commander) pile(all []order) {
	c.w.t.Helper()
	for _, o := range all {
		_, err := c.w.js.PublishMsgAsync(o.message(), jetstream.WithStallWait(time.Minute))
		must(c.w.t, err)
		c.note(o)
	}
	select {
	case <-c.w.js.PublishAsyncComplete():
	case <-c.w.ctx.Done():
		c.w.t.Fatal("the broker does not take the commands")
	}
}

func (c *commander) note(o order) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent[o.id] = o.title
}

// creates says whether a command creates a task.
func (c *commander) creates(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent[id] != ""
}

func (c *commander) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sent)
}
