package change_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// changes returns the first changes that a filter matches.
func (m *mirror) changes(filter string, n int) []change.Change {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	var all []change.Change
	if err := change.Subscribe(ctx, m.js, filter, func(_ context.Context, c change.Change) error {
		if all = append(all, c); len(all) == n {
			cancel()
		}
		return nil
	}, events.Since(time.Time{})); err != nil {
		m.t.Fatal(err)
	}
	return all
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	m := startMirror(t)
	m.store(&nats.Msg{Subject: "factro.change.acme.task.1.updated", Data: []byte("no event")})
	m.changed(change.Updated, "task", "1", `[]`, 0) // no change
	m.changed(change.Created, "project", "1", `{"before":{},"after":{},"changed":[]}`, 0)
	sequence := m.changed(change.Updated, "task", "ä.b", `{"before":{"title":"a","n":1},"after":{"title":"<b>"},"changed":["n","title"]}`, 7, func(e *event.Event) {
		e.SetExtension(attr.Origin, "verify")
		e.SetExtension(attr.Cause, "c-1")
		e.SetExtension(attr.Sender, "urn:example:billing")
		e.SetExtension(attr.Certainty, change.Likely)
	})
	m.changed(change.Deleted, "task", "2", `{"before":{"title":"a"},"after":{},"changed":["title"],"status":403}`, 8)
	all := m.changes(change.Filter("factro", "acme", "task", events.Any, events.Any), 2)
	c := all[0]
	for what, pair := range map[string][2]any{
		"what":      {c.What, change.Updated},
		"of":        {c.Cloud + " " + c.Resource + " " + c.ID, "acme task ä.b"},
		"before":    {string(c.Before["title"]) + string(c.Before["n"]), `"a"1`},
		"after":     {string(c.After["title"]), `"<b>"`},
		"changed":   {strings.Join(c.Changed, ","), "n,title"},
		"causes":    {strings.Join(c.Causes, ","), "e-1,e-2"},
		"origin":    {c.Origin, change.OriginVerify},
		"cause":     {c.Cause + " " + c.Sender + " " + c.Certainty, "c-1 urn:example:billing likely"},
		"from":      {c.StateFrom, uint64(7)},
		"sequence":  {c.Sequence, sequence},
		"time":      {c.Time.Equal(readAt), true},
		"whole":     {c.Whole, false},
		"event":     {c.Event.CloudEvent.ID(), "acme.task.ä.b.7.updated"},
		"entity":    {c.Event.EntityID, "ä.b"},
		"action":    {c.Event.Action, "updated"},
		"status":    {all[1].Status, 403},
		"deleted":   {all[1].What, change.Deleted},
		"no origin": {all[1].Origin + all[1].Cause, ""},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %v, want %v", what, pair[0], pair[1])
		}
	}
	if err := change.Subscribe(t.Context(), m.js, "factro.event.acme.task.*.*", nil); err == nil || !strings.Contains(err.Error(), "none of changes") {
		t.Errorf("of another filter: %v", err)
	}
	if err := change.Subscribe(t.Context(), m.js, "factro.change.*.task.*.*", nil); err == nil || !strings.Contains(err.Error(), "must name the cloud") {
		t.Errorf("of all clouds: %v", err)
	}
}

// TestSubscribeVerdict: the error of the handler is the verdict.
func TestSubscribeVerdict(t *testing.T) {
	t.Parallel()
	m := startMirror(t)
	m.changed(change.Created, "task", "1", `{}`, 0)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var deliveries []uint64
	err := change.Subscribe(ctx, m.js, change.Filter("factro", "acme", "task", events.Any, change.Created), func(_ context.Context, c change.Change) error {
		if deliveries = append(deliveries, c.Event.Deliveries); len(deliveries) == 1 {
			return events.Retry(errors.New("later"), 0)
		}
		cancel()
		return nil
	}, events.Durable("billing"), events.Since(time.Time{}))
	if err != nil || !slices.Equal(deliveries, []uint64{1, 2}) {
		t.Errorf("got %v, %v", deliveries, err)
	}
}

func TestDecodeMistakes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		subject, kind, data, from, want string
	}{
		"good":          {"factro.change.acme.task.1.updated", "com.factro.change.task.updated", `{}`, "", ""},
		"an event":      {"factro.change.acme.task.1.updated", "com.factro.TaskCreated", `{}`, "", "of the type"},
		"another what":  {"factro.change.acme.task.1.moved", "com.factro.change.task.moved", `{}`, "", "of the type"},
		"other subject": {"factro.change.acme.task.1.created", "com.factro.change.task.updated", `{}`, "", "on the subject"},
		"short subject": {"factro.change.acme.task.updated", "com.factro.change.task.updated", `{}`, "", "on the subject"},
		"no JSON":       {"factro.change.acme.task.1.updated", "com.factro.change.task.updated", `{`, "", "data of"},
		"odd revision":  {"factro.change.acme.task.1.updated", "com.factro.change.task.updated", `{}`, "x", "Factro-State-From"},
	} {
		e := event.New()
		e.SetType(tt.kind)
		e.DataEncoded = []byte(tt.data)
		header := nats.Header{}
		if tt.from != "" {
			header.Set(change.HeaderStateFrom, tt.from)
		}
		c, err := change.Decode(events.Event{CloudEvent: e, Subject: tt.subject, Header: header})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && c.ID != "1" {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func raw(t testing.TB, text string) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestFold(t *testing.T) {
	t.Parallel()
	state := func(revision, sequence uint64, data string) change.State {
		return change.State{Cloud: "acme", Resource: "task", ID: "1", Revision: revision, Change: sequence, Data: []byte(data), Gone: data == ""}
	}
	of := func(what string, from, sequence uint64, before, after string) change.Change {
		return change.Change{
			What: what, Cloud: "acme", Resource: "task", ID: "1", StateFrom: from, Sequence: sequence, Before: raw(t, before), After: raw(t, after), Time: readAt,
		}
	}
	whole := of(change.Updated, 5, 3, `{"a":1,"b":2}`, `{"a":1}`)
	whole.Whole = true
	for name, tt := range map[string]struct {
		state  change.State
		change change.Change
		want   string
	}{
		"updated":                  {state(5, 2, `{"noise":0, "b":"<x>","a":1.0}`), of(change.Updated, 5, 3, `{"a":1.0,"c":0}`, `{"a":2.50,"d":null}`), `{"a":2.50,"b":"<x>","d":null,"noise":0}`},
		"removed":                  {state(5, 2, `{"a":1,"b":2}`), of(change.Updated, 5, 3, `{"a":1}`, `{}`), `{"b":2}`},
		"whole":                    {state(5, 2, `{"a":1,"b":2,"noise":1}`), whole, `{"a":1}`},
		"created":                  {change.State{}, of(change.Created, 0, 1, `{}`, `{"a":1}`), `{"a":1}`},
		"created again":            {state(5, 2, ""), of(change.Created, 0, 3, `{}`, `{"a":1}`), `{"a":1}`},
		"deleted":                  {state(5, 2, `{"a":1}`), of(change.Deleted, 5, 3, `{"a":1}`, `{}`), ""},
		"had before":               {state(5, 3, `{"a":2}`), of(change.Updated, 4, 3, `{"a":1}`, `{"a":2}`), `{"a":2}`},
		"had, by the revision":     {state(5, 0, `{"a":2}`), of(change.Updated, 4, 3, `{"a":1}`, `{"a":2}`), `{"a":2}`},
		"created before":           {state(5, 0, `{"a":2}`), of(change.Created, 0, 1, `{}`, `{"a":1}`), `{"a":2}`},
		"folded, so of no revison": {state(0, 2, `{"a":1}`), of(change.Updated, 9, 3, `{"a":1}`, `{"a":2}`), `{"a":2}`},
	} {
		got, err := change.Fold(tt.state, tt.change)
		if err != nil || string(got.Data) != tt.want || got.Gone != (tt.want == "") || got.ID != "1" {
			t.Errorf("%s: got %s %+v, %v", name, got.Data, got, err)
		}
	}
	other := of(change.Created, 0, 1, `{}`, `{}`)
	other.ID = "2"
	for name, tt := range map[string]struct {
		state  change.State
		change change.Change
		want   string
	}{
		"another object": {state(5, 2, `{}`), other, `task "2" of acme`},
		"no state":       {change.State{}, of(change.Updated, 5, 3, `{}`, `{}`), "no state before it"},
		"no object":      {state(5, 2, `[]`), of(change.Updated, 5, 3, `{}`, `{}`), "cannot unmarshal"},
	} {
		if got, err := change.Fold(tt.state, tt.change); err == nil || !strings.Contains(err.Error(), tt.want) || fmt.Sprint(got) != fmt.Sprint(tt.state) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}
