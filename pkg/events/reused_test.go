package events_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// closing has the same id as setState in these tests, and other data.
var closing = payload.SetTaskState{TaskID: "8d3f", State: payload.TaskStateClosed}

// TestReusedID: an id that was used before for other data gets no result of the other command as its own. That result comes with
// the error, by Do and by Send.
func TestReusedID(t *testing.T) {
	t.Parallel()
	c, f := client(t, always(applied(map[string]string{"id": "8d3f"})))
	if _, err := c.Do(t.Context(), setState, events.WithID("once")); err != nil {
		t.Fatal(err)
	}
	settled(t, f) // else the earlier command itself is compared, which has no result to tell
	reported := 0
	r, doErr := c.Do(t.Context(), closing, events.WithID("once"), events.OnResult(func(events.Event) { reported++ }))
	if r.Outcome != "" || reported != 0 {
		t.Errorf("the other command's result came as this one's: %+v, reported %d times", r, reported)
	}
	sent, sendErr := c.Send(t.Context(), closing, events.WithID("once"))
	if !sent.Duplicate || sent.ID != "once" {
		t.Errorf("got %+v", sent)
	}
	for how, err := range map[string]error{"do": doErr, "send": sendErr} {
		reused, ok := errors.AsType[*events.ReusedError](err)
		if !ok || reused.ID != "once" || reused.Earlier == nil || reused.Earlier.Outcome != events.Applied || string(reused.Earlier.Response) != `{"id":"8d3f"}` {
			t.Errorf("%s: got %v, %+v", how, err, reused)
		}
		if e, ok := errors.AsType[*events.Error](err); !ok || e.Code != events.CodeConflict {
			t.Errorf("%s: got the code of %v", how, e)
		}
	}
	// The same data, however written, is the same command.
	same := payload.Generic{Name: "setTaskState", Resource: "task", Data: json.RawMessage(` { "state":"review", "taskId":"8d3f" }`)}
	if r, err := c.Do(t.Context(), same, events.WithID("once")); err != nil || r.Outcome != events.Applied {
		t.Errorf("the same data: got %+v, %v", r, err)
	}
	if sent, err := c.Send(t.Context(), same, events.WithID("once")); err != nil || !sent.Duplicate {
		t.Errorf("the same data: sent %+v, %v", sent, err)
	}
	// A dry run has an id of its own in the stream, and results of its own.
	if r, err := c.Do(t.Context(), closing, events.WithID("once"), events.DryRun()); err != nil || !r.DryRun {
		t.Errorf("a dry run: got %+v, %v", r, err)
	}
	if _, err := c.Do(t.Context(), setState, events.WithID("once"), events.DryRun()); !errors.As(err, new(*events.ReusedError)) {
		t.Errorf("another dry run of that id: got %v", err)
	}
	if n := len(f.commands()); n != 2 {
		t.Errorf("the bridge got %d commands, want the first and a dry run", n)
	}
}

// settled waits until no command is in the queue.
func settled(t *testing.T, f *fakeBridge) {
	t.Helper()
	for {
		s, err := f.b.js.Stream(t.Context(), prefix.CommandStream("acme"))
		if err != nil {
			t.Fatal(err)
		}
		if s.CachedInfo().State.Msgs == 0 {
			return
		}
	}
}

// TestReusedIDWaits: while the earlier command waits, it is compared itself.
func TestReusedIDWaits(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	c := events.NewClient(b.js, "acme")
	if _, err := c.Send(t.Context(), setState, events.WithID("once")); err != nil {
		t.Fatal(err)
	}
	for name, cmd := range map[string]events.Payload{"other data": closing, "other operation": payload.DeleteTask{TaskID: "8d3f"}} {
		_, sendErr := c.Send(t.Context(), cmd, events.WithID("once"))
		_, doErr := c.Do(t.Context(), cmd, events.WithID("once"))
		for how, err := range map[string]error{"do": doErr, "send": sendErr} {
			if reused, ok := errors.AsType[*events.ReusedError](err); !ok || reused.Earlier != nil || (reused.Operation == "") != (name == "other data") {
				t.Errorf("%s, %s: got %v", name, how, err)
			}
		}
	}
	if sent, err := c.Send(t.Context(), setState, events.WithID("once")); err != nil || !sent.Duplicate {
		t.Errorf("the same: %+v, %v", sent, err)
	}
}

// TestReusedIDStructured: the earlier command may have been sent in structured mode.
func TestReusedIDStructured(t *testing.T) {
	t.Parallel()
	c, f := client(t, always(applied(nil)))
	f.b.store(t, &nats.Msg{
		Subject: prefix.Command("acme", "task", "setTaskState"),
		Header: nats.Header{
			"content-type":         {"application/cloudevents+json"},
			events.HeaderMessageID: {"once%source." + identity.SourceDigest("urn:me")},
		},
		Data: []byte(`{"specversion":"1.0","id":"once","source":"urn:me","type":"com.factro.command.setTaskState",
			"data":{ "state": "review", "taskId": "8d3f" }}`),
	})
	me := []events.DoOption{events.WithID("once"), events.WithSource("urn:me")}
	if r, err := c.Do(t.Context(), setState, me...); err != nil || r.Outcome != events.Applied {
		t.Errorf("the same data: got %+v, %v", r, err)
	}
	if _, err := c.Do(t.Context(), closing, me...); !errors.As(err, new(*events.ReusedError)) {
		t.Errorf("other data: got %v", err)
	}
}

// TestReusedIDOlderBridge: the results of an older bridge do not say which data they are for, so nothing is compared.
func TestReusedIDOlderBridge(t *testing.T) {
	t.Parallel()
	f := &fakeBridge{b: startBroker(t), work: always(applied(nil)), noDigest: true}
	f.play(t)
	c := events.NewClient(f.b.js, "acme")
	for _, cmd := range []payload.SetTaskState{setState, setState} {
		if r, err := c.Do(t.Context(), cmd, events.WithID("once")); err != nil || r.Outcome != events.Applied {
			t.Errorf("got %+v, %v", r, err)
		}
	}
}

// TestReusedIDConflict: where the stream has forgotten the id, the bridge says that it was used, and with which result.
func TestReusedIDConflict(t *testing.T) {
	t.Parallel()
	earlier := applied(nil)
	earlier.Operation = "setTaskState"
	conflict := events.Result{Outcome: events.Rejected, Error: &events.Error{Code: events.CodeConflict, Message: "used before", Earlier: &earlier}}
	c, _ := client(t, always(conflict))
	r, err := c.Do(t.Context(), closing, events.WithID("once"))
	reused, ok := errors.AsType[*events.ReusedError](err)
	if !ok || r.Outcome != events.Rejected || reused.Operation != "" || reused.Earlier == nil || reused.Earlier.Outcome != events.Applied {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, err := c.Do(t.Context(), payload.DeleteTask{TaskID: "8d3f"}, events.WithID("other")); !contains(err, "for setTaskState of acme") {
		t.Errorf("another operation: got %v", err)
	}
}
