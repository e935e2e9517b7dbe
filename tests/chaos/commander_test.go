package chaos

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Objects of the simulator's tenant: a package for new tasks, and a task to be changed.
const (
	demoPackage = factro.ExamplePackage
	demoTask    = factro.ExampleTask
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
	msg := nats.NewMsg(events.Prefix(events.DefaultPrefix).Command(cloud, "task", operation))
	msg.Header.Set(events.HeaderMessageID, id)
	if n, err := strconv.Atoi(strings.TrimLeft(id, "abcdefghijklmnopqrstuvwxyz")); err == nil && c.w.set.lanes > 0 {
		for name, value := range map[string]string{
			"specversion": "1.0", "id": id, "source": "urn:chaos", "type": events.CommandTypePrefix + operation,
			attr.PartitionKey: fmt.Sprintf("lane-%d", n%c.w.set.lanes),
		} {
			msg.Header["ce-"+name] = []string{value}
		}
	}
	msg.Data = []byte(data)
	for c.w.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(c.w.ctx, 2*time.Second)
		_, err := c.w.js.PublishMsg(ctx, msg)
		cancel()
		if err == nil {
			c.mu.Lock()
			c.sent[id] = title
			c.mu.Unlock()
			return
		}
		c.w.pause(50 * time.Millisecond)
	}
}

func (c *commander) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sent)
}
