package tests

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// createdID runs a create and returns the id of its object.
func createdID(t testing.TB, r events.Result, err error) string {
	t.Helper()
	if err != nil || r.Resource == nil || r.Resource.ID == "" {
		t.Fatalf("the result is %+v: %v", r, err)
	}
	return r.Resource.ID
}

// Twenty senders on each of two bridges create a task under one key: there is one task, and all of them get it.
func TestUpsertTogether(t *testing.T) {
	t.Parallel()
	const senders = 40
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	cfg := bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}
	for range 2 {
		newBridge(t, cfg).start()
	}
	_, js := n.Connect(t)
	var mu sync.Mutex
	ids, existing := map[string]int{}, 0
	var group sync.WaitGroup
	for i := range senders {
		group.Go(func() {
			c := events.NewClient(js, "acme", events.WithDefaults(events.WithSource(fmt.Sprint("urn:example:", i)), events.WithExternalKey("JIRA-17")))
			r, err := c.Do(t.Context(), payload.CreateTask{Title: "together", TargetParentID: f.demo.Package})
			mu.Lock()
			defer mu.Unlock()
			if err != nil || r.Resource == nil {
				t.Errorf("sender %d: %+v, %v", i, r, err)
				return
			}
			ids[r.Resource.ID]++
			if r.Existing {
				existing++
			}
		})
	}
	group.Wait()
	if got := tasksWithTitle(f, "together"); got != 1 || len(ids) != 1 || existing != senders-1 {
		t.Errorf("there are %d tasks; %d commands found theirs, with the ids %v", got, existing, ids)
	}
}

// A task lives under its key: it is created, named, updated, read and deleted by it.
func TestUpsertLife(t *testing.T) {
	t.Parallel()
	a := newAsking(t)
	ctx := t.Context()
	do := func(p events.Payload, opts ...events.DoOption) (events.Result, error) {
		return a.client.Do(ctx, p, opts...)
	}
	task := payload.CreateTask{Title: "life", TargetParentID: a.f.demo.Package}
	key, update := events.WithExternalKey("Ä/17"), events.WithOnConflict(attr.OnConflictUpdate)

	if _, err := do(payload.SetTaskState{TaskID: events.ByExternalKey("Ä/17"), State: payload.TaskStateInProcess}); !isCode(err, events.CodeUnknownKey) {
		t.Errorf("a key that is not known: %v", err)
	}
	r, err := do(task, key, update)
	id := createdID(t, r, err)
	if r.Existing {
		t.Errorf("the result is %+v", r)
	}
	task.Description = payload.Set("changed")
	if r, err = do(task, key, update); createdID(t, r, err) != id || !r.Existing {
		t.Errorf("the result of the update is %+v", r)
	}
	if _, err := do(payload.SetTaskState{TaskID: events.ByExternalKey("Ä/17"), State: payload.TaskStateInProcess}); err != nil {
		t.Error(err)
	}
	read, err := events.Ask(ctx, a.client, payload.GetTask{TaskID: events.ByExternalKey("Ä/17")})
	if err != nil || read.ID != id || read.Description.Or("") != "changed" {
		t.Errorf("factro has %+v: %v", read, err)
	}

	// Deleted through the bridge, the key is free.
	if _, err := do(payload.DeleteTask{TaskID: events.ByExternalKey("Ä/17")}); err != nil {
		t.Error(err)
	}
	if _, err := events.Ask(ctx, a.client, payload.GetTask{TaskID: events.ByExternalKey("Ä/17")}); !isCode(err, events.CodeUnknownKey) {
		t.Errorf("the query after the deletion: %v", err)
	}
	// Deleted at factro, it is free once somebody meets that: an update becomes a create.
	r, err = do(task, key)
	second := createdID(t, r, err)
	a.deleteAtFactro(second)
	if r, err = do(task, key, update); createdID(t, r, err) == second || r.Existing {
		t.Errorf("the result after the deletion is %+v", r)
	}
	if got := tasksWithTitle(a.f, "life"); got != 1 {
		t.Errorf("factro has %d tasks", got)
	}
	a.deleteAtFactro(r.Resource.ID)
	if _, err := events.Ask(ctx, a.client, payload.GetTask{TaskID: events.ByExternalKey("Ä/17")}); !isCode(err, events.CodeRefused) {
		t.Errorf("the first query after the deletion: %v", err)
	}
	if _, err := events.Ask(ctx, a.client, payload.GetTask{TaskID: events.ByExternalKey("Ä/17")}); !isCode(err, events.CodeUnknownKey) {
		t.Errorf("the second query after the deletion: %v", err)
	}
}

// TestUpsertQueued: what was sent in an order that makes sense is carried out, though each command names by its key what only the
// one before creates, and though they come into the queue all at once.
func TestUpsertQueued(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	steer(t, n, "pause", "commands")
	b.obeys("commands", true)
	_, js := n.Connect(t)
	client := events.NewClient(js, "acme")
	send := func(p events.Payload, opts ...events.DoOption) {
		t.Helper()
		if _, err := client.Send(t.Context(), p, opts...); err != nil {
			t.Fatal(err)
		}
	}
	count := func(stream string) uint64 {
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().State.Msgs
	}
	const each = 5
	for i := range each {
		parent, task := fmt.Sprint("PKG-", i), fmt.Sprint("TSK-", i)
		send(payload.CreatePackage{ProjectID: f.demo.Project, Title: "queued"}, events.WithExternalKey(parent))
		send(payload.CreateTask{Title: "queued", TargetParentID: events.ByExternalKey(parent)}, events.WithExternalKey(task))
		send(payload.SetTaskState{TaskID: events.ByExternalKey(task), State: payload.TaskStateReview})
		send(payload.CreateTaskComment{TaskID: events.ByExternalKey(task), Text: "queued"})
	}
	steer(t, n, "resume", "commands")
	waitFor(t, "all are carried out", func() bool { return count("FACTRO_COMMANDS_ACME") == 0 })
	if dead := count("FACTRO_DEAD_ACME"); dead != 0 || tasksWithTitle(f, "queued") != each {
		t.Errorf("there are %d dead letters and %d tasks", dead, tasksWithTitle(f, "queued"))
	}
}

func isCode(err error, code string) bool {
	e, ok := errors.AsType[*events.Error](err)
	return ok && e.Code == code
}

// deleteAtFactro deletes a task without the bridge's keys knowing.
func (a *asking) deleteAtFactro(id string) {
	a.t.Helper()
	a.direct(http.MethodDelete, "/tasks/"+id, "")
}

// The process dies around the call of a create with a key: there is one task, and the key is that of this task.
func TestUpsertCrashes(t *testing.T) {
	t.Parallel()
	crashing, err := crashing()
	if err != nil {
		t.Fatal(err)
	}
	for _, point := range []string{"after-key", "after-call", "after-ledger"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			n := natstest.Start(t)
			f := startFactro(t, sim.Config{})
			b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, env: []string{"FACTRO_BRIDGE_CRASH=" + point}})
			b.binary = crashing
			b.start()
			_, js := n.Connect(t)
			client := events.NewClient(js, "acme", events.WithDefaults(events.WithExternalKey("JIRA-17")))
			task := payload.CreateTask{Title: "crash", TargetParentID: f.demo.Package}
			if _, err := client.Send(t.Context(), task, events.WithID("first")); err != nil {
				t.Fatal(err)
			}
			<-b.exited
			b.env = nil
			b.start()
			r, err := client.Do(t.Context(), task, events.WithID("first"))
			id := createdID(t, r, err)
			again, err := client.Do(t.Context(), task, events.WithID("second"))
			if createdID(t, again, err) != id || !again.Existing || r.Existing {
				t.Errorf("the first result is %+v, the second %+v", r, again)
			}
			if got := tasksWithTitle(f, "crash"); got != 1 {
				t.Errorf("factro has %d tasks", got)
			}
		})
	}
}
