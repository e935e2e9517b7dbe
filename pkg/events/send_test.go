package events_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// TestOnResult: each result is reported once, as the event that it is in the stream, be it a copy or read there.
func TestOnResult(t *testing.T) {
	t.Parallel()
	c, _ := client(t, always(throttled, applied(map[string]string{"id": "8d3f"})))
	for _, how := range []string{"by copy", "from the stream"} { // the second time the stream has the command already
		var reported []string
		r, err := c.Do(t.Context(), setState, events.WithID("the-id"), events.OnResult(func(e events.Event) {
			reported = append(reported, e.Subject)
			if result, err := e.Result(); err != nil || result.Operation != "setTaskState" || e.Cloud != "acme" {
				t.Errorf("%s: reported %+v, %v", how, e, err)
			}
		}))
		if err != nil || r.Outcome != events.Applied {
			t.Errorf("%s: got %+v, %v", how, r, err)
		}
		want := []string{"factro.result.acme.task.setTaskState.deferred", "factro.result.acme.task.setTaskState.applied"}
		if !slices.Equal(reported, want) {
			t.Errorf("%s: reported of %v, want %v", how, reported, want)
		}
	}
}

// TestSend: the command is in the stream when Send returns, once under one id, which Send returns, and Do gets its result later.
func TestSend(t *testing.T) {
	t.Parallel()
	c, f := client(t, always(applied(nil)))
	fresh, err := c.Send(t.Context(), setState)
	if err != nil || fresh.ID == "" || fresh.Duplicate {
		t.Fatalf("got %+v, %v", fresh, err)
	}
	for _, duplicate := range []bool{false, true} {
		sent, err := c.Send(t.Context(), setState, events.WithID("the-id"))
		if want := (events.Sent{ID: "the-id", Duplicate: duplicate, Position: "FACTRO_COMMANDS_ACME:2"}); err != nil || sent != want {
			t.Fatalf("got %+v, %v; want %+v", sent, err, want)
		}
	}
	for _, id := range []string{fresh.ID, "the-id"} {
		if r, err := c.Do(t.Context(), setState, events.WithID(id)); err != nil || r.Outcome != events.Applied {
			t.Errorf("%s: got %+v, %v", id, r, err)
		}
	}
	if n := len(f.commands()); n != 2 {
		t.Errorf("the bridge got %d commands, want 2", n)
	}
	if _, err := c.Send(t.Context(), payload.Generic{Name: "createTask", Resource: "task", Data: []int{1}}); err == nil {
		t.Error("a list was sent as a command")
	}
	f.b.Stop()
	f.b.nc.Close()
	if _, err := c.Send(t.Context(), setState); err == nil || errors.As(err, new(*events.Error)) {
		t.Errorf("without a connection: %v", err)
	}
}
