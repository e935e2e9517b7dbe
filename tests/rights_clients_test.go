package tests

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// The examples of deploy/nats/auth.conf are enough for a program that sends commands, for one that subscribes to events and
// for one that asks queries, by the functions that are made for them.
func TestClientsLeastPrivilege(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	f := startFactro(t, sim.Config{})
	g.prepare(f)
	ingress := g.bridge(f, "ingress", "ingress", "false").start()
	g.bridge(f, "egress", "egress, query", "false").start()
	// The parts run in parallel with other tests too, and may wait for their turn: the time of each begins with it.
	patient := func(t *testing.T) context.Context {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		t.Cleanup(cancel)
		return ctx
	}
	refused := nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			t.Error(err)
		}
	})

	t.Run("sender", func(t *testing.T) {
		t.Parallel()
		ctx := patient(t)
		_, js := g.connect("sender", refused)
		client := events.NewClient(js, "acme")
		create := payload.CreateTask{Title: "Prüfung", TargetParentID: f.demo.Package}
		first, err := client.Do(ctx, create, events.WithID("c-1"))
		if err != nil || first.Resource == nil {
			t.Fatalf("got %+v, %v", first, err)
		}
		// The result of before is in the stream alone.
		again, err := client.Do(ctx, create, events.WithID("c-1"))
		if err != nil || again.Resource == nil || again.Resource.ID != first.Resource.ID {
			t.Errorf("got %+v, %v; want the result %+v", again, err, first)
		}
		if _, err := client.Send(ctx, create); err != nil {
			t.Error(err)
		}
	})
	t.Run("subscriber", func(t *testing.T) {
		t.Parallel()
		ctx := patient(t)
		_, js := g.connect("subscriber", refused)
		// It is found, left, and found again.
		for _, id := range []string{"4711", "4712"} {
			if status := ingress.webhook(http.DefaultClient, "acme", `{"action":"TaskCreated","context":{"entityId":"`+id+`"}}`); status != http.StatusAccepted {
				t.Errorf("the webhook is answered with %d", status)
			}
			subscribed, stop := context.WithCancel(ctx)
			var got []string
			err := events.Subscribe(subscribed, js, "factro.event.acme.task.*.TaskCreated", func(_ context.Context, e events.Event) error {
				if got = append(got, e.EntityID); e.EntityID == id {
					stop()
				}
				return nil
			}, events.Prepared("mirror"))
			stop()
			if err != nil || !slices.Equal(got, []string{id}) {
				t.Errorf("got %v, %v; want %s", got, err, id)
			}
		}
	})
	t.Run("asker", func(t *testing.T) {
		t.Parallel()
		ctx := patient(t)
		_, js := g.connect("asker", refused)
		client := events.NewClient(js, "acme")
		(&asking{t: t, f: f}).fill()
		for _, query := range []struct {
			payload.Generic
			atLeast int64
		}{
			{payload.Generic{Name: "getUserQuota", Resource: "user", Data: json.RawMessage("{}")}, 2},
			{payload.Generic{Name: "listTasks", Resource: "task", Data: json.RawMessage("{}")}, 1 << 20},
		} {
			answer, err := client.Query(ctx, query.Generic)
			if err != nil {
				t.Errorf("%s: %v", query.Name, err)
				continue
			}
			if n, err := io.Copy(io.Discard, answer); err != nil || n < query.atLeast {
				t.Errorf("%s: an answer of %d bytes: %v", query.Name, n, err)
			}
			if err := answer.Close(); err != nil {
				t.Errorf("%s: %v", query.Name, err)
			}
		}
	})
}
