package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

var (
	setState = payload.SetTaskState{TaskID: "8d3f", State: payload.TaskStateReview}
	refused  = events.Result{Outcome: events.Rejected, Status: 403, Attempts: 1, Error: &events.Error{
		Code: events.CodeRefused, Message: "factro answered 403: Task is closed",
	}}
	throttled = events.Result{Outcome: events.Deferred, Error: &events.Error{Code: events.CodeThrottled, Message: "wait"}}
)

// client returns a client of a broker of its own, with a bridge that works by the script.
func client(t *testing.T, work func(events.Command) []events.Result) (*events.Client, *fakeBridge) {
	t.Helper()
	f := &fakeBridge{b: startBroker(t), work: work}
	f.play(t)
	return events.NewClient(f.b.js, "acme"), f
}

func TestDo(t *testing.T) {
	t.Parallel()
	dead := events.Result{Outcome: events.Dead, Error: &events.Error{Code: events.CodeAmbiguous, Message: "look"}}
	for name, tt := range map[string]struct {
		results  []events.Result
		want     events.Outcome
		code     string
		status   int
		deferred int
	}{
		"applied":          {results: []events.Result{applied(map[string]string{"id": "8d3f"})}, want: events.Applied},
		"rejected":         {results: []events.Result{refused}, want: events.Rejected, code: events.CodeRefused, status: 403},
		"dead":             {results: []events.Result{dead}, want: events.Dead, code: events.CodeAmbiguous},
		"deferred first":   {results: []events.Result{throttled, applied(nil)}, want: events.Applied, deferred: 1},
		"without a reason": {results: []events.Result{{Outcome: events.Dead}}, want: events.Dead, code: "dead"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := client(t, always(tt.results...))
			deferred := 0
			r, err := c.Do(t.Context(), setState, events.OnDeferred(func(r events.Result) {
				if r.Error.Code == events.CodeThrottled {
					deferred++
				}
			}))
			if r.Outcome != tt.want || r.Operation != "setTaskState" || deferred != tt.deferred {
				t.Errorf("got %+v after %d deferrals, want %s after %d", r, deferred, tt.want, tt.deferred)
			}
			e, ok := errors.AsType[*events.Error](err)
			if (err != nil) != (tt.code != "") || ok && (e.Code != tt.code || e.Status != tt.status) {
				t.Errorf("got the error %v, want the code %q and the status %d", err, tt.code, tt.status)
			}
		})
	}
}

// TestDoSendsWhatIsAsked looks at the command as the bridge sees it.
func TestDoSendsWhatIsAsked(t *testing.T) {
	t.Parallel()
	f := &fakeBridge{b: startBroker(t), work: always(applied(nil))}
	f.play(t)
	c := events.NewClient(f.b.js, "acme", events.WithPrefix("factro"), events.WithDefaults(events.WithSource("urn:example:billing")))
	expiry := time.Date(2030, 1, 31, 9, 30, 0, 0, time.UTC)
	if _, err := c.Do(t.Context(), setState, events.WithID("größe 1"), events.WithExpiry(expiry), events.WithCorrelationID("c"),
		events.WithPartitionKey("p"), events.WithPriority(attr.PriorityHigh)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), payload.Generic{Name: "deleteTeam", Resource: "team"}, events.WithSource("urn:example:hr")); err != nil {
		t.Fatal(err)
	}
	seen := f.commands()
	first := seen[0].Event
	for what, pair := range map[string][2]any{
		"id":            {first.ID(), "größe 1"},
		"source":        {first.Source(), "urn:example:billing"},
		"type":          {first.Type(), "com.factro.command.setTaskState"},
		"expirytime":    {first.Extensions()[attr.ExpiryTime], "2030-01-31T09:30:00Z"},
		"correlationid": {first.Extensions()[attr.CorrelationID], "c"},
		"partitionkey":  {first.Extensions()[attr.PartitionKey], "p"},
		"priority":      {first.Extensions()[attr.Priority], "high"},
		"data":          {string(first.Data()), `{"taskId":"8d3f","state":"review"}`},
		"generic":       {string(seen[1].Event.Data()), `{}`},
		"its source":    {seen[1].Event.Source(), "urn:example:hr"},
		"its id":        {len(seen[1].Event.ID()), 36},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %v, want %v", what, pair[0], pair[1])
		}
	}
}

// TestDoAgain: the same id is the same command, whose result comes again and which is not done again.
func TestDoAgain(t *testing.T) {
	t.Parallel()
	c, f := client(t, always(refused))
	for range 2 {
		if r, err := c.Do(t.Context(), setState, events.WithID("once")); r.Status != 403 || !contains(err, "Task is closed") {
			t.Fatalf("got %+v, %v", r, err)
		}
	}
	if n := len(f.commands()); n != 1 {
		t.Errorf("it was carried out %d times", n)
	}
	_, err := c.Do(t.Context(), payload.DeleteTask{TaskID: "8d3f"}, events.WithID("once"))
	if !contains(err, `the id "once" was used before, for setTaskState of acme`) {
		t.Errorf("got %v", err)
	}
	if _, err := events.NewClient(f.b.js, "other").Do(t.Context(), setState, events.WithID("once")); !contains(err, "no stream takes factro.command.other.task.setTaskState: is the cloud's name right") {
		t.Errorf("a cloud that no bridge serves: got %v", err)
	}
}

// TestDryRunIsNoDuplicate: the rehearsal must not stand in for the performance.
func TestDryRunIsNoDuplicate(t *testing.T) {
	t.Parallel()
	c, f := client(t, always(applied(map[string]string{"id": "8d3f"})))
	create := payload.CreateTask{Title: "Prüfung", TargetParentID: "p"}
	r, err := c.Do(t.Context(), create, events.WithID("x"), events.DryRun())
	if err != nil || !r.DryRun {
		t.Fatalf("got %+v, %v", r, err)
	}
	if task, err := create.Answer(r); !errors.Is(err, payload.ErrNoAnswer) {
		t.Errorf("got %+v, %v", task, err)
	}
	r, err = c.Do(t.Context(), create, events.WithID("x"))
	if err != nil || r.DryRun {
		t.Fatalf("got %+v, %v", r, err)
	}
	if task, err := create.Answer(r); err != nil || task.ID != "8d3f" {
		t.Errorf("got %+v, %v", task, err)
	}
	for _, id := range []string{"x.dryrun", "x%dryrun", `x"dryrun`} { // whatever the rehearsal was sent as
		if r, err = c.Do(t.Context(), create, events.WithID(id)); err != nil || r.DryRun {
			t.Errorf("%s: got %+v, %v", id, r, err)
		}
	}
	if n := len(f.commands()); n != 5 {
		t.Errorf("the bridge saw %d commands, want 5", n)
	}
}

// TestLostCopy: the copy is sent at most once, the stream has it anyway.
func TestLostCopy(t *testing.T) {
	t.Parallel()
	f := &fakeBridge{b: startBroker(t), work: always(throttled, applied(nil)), loseCopies: true}
	f.play(t)
	c := events.NewClient(f.b.js, "acme")
	c.SetPatience(time.Millisecond)
	deferred := 0
	r, err := c.Do(t.Context(), setState, events.OnDeferred(func(events.Result) { deferred++ }))
	if err != nil || r.Outcome != events.Applied || deferred != 1 {
		t.Errorf("got %+v, %v after %d deferrals", r, err, deferred)
	}
}

// TestDoOverRestart takes the broker away while the command is worked on, and again while its result is waited for.
func TestDoOverRestart(t *testing.T) {
	t.Parallel()
	begun, goOn := make(chan struct{}), make(chan struct{})
	c, f := client(t, func(events.Command) []events.Result {
		begun <- struct{}{}
		<-goOn
		return []events.Result{applied(nil)}
	})
	c.SetPatience(time.Millisecond)
	type outcome struct {
		r   events.Result
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		r, err := c.Do(t.Context(), setState)
		done <- outcome{r, err}
	}()
	<-begun
	f.b.restart(t, func() {})
	go func() { // it may be delivered again, since its acknowledgement was on the way
		for range begun { // let it begin
		}
	}()
	close(goOn)
	if got := <-done; got.err != nil || got.r.Outcome != events.Applied {
		t.Errorf("got %+v, %v", got.r, got.err)
	}
}

// TestDoWhileAway sends a command while there is no broker.
func TestDoWhileAway(t *testing.T) {
	t.Parallel()
	c, f := client(t, always(applied(nil)))
	done := make(chan error, 1)
	f.b.restart(t, func() {
		_, err := c.Do(ended(t), setState, events.WithID("lost"))
		if p, ok := errors.AsType[*events.PendingError](err); !ok || !p.Unsure || p.ID != "lost" || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		go func() {
			_, err := c.Do(t.Context(), setState)
			done <- err
		}()
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// ended returns a context that ends soon.
func ended(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	return ctx
}

func TestPending(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c, f := client(t, always(throttled))
	_, err := c.Do(ctx, setState, events.WithID("größe"), events.OnDeferred(func(events.Result) { cancel() }))
	p, ok := errors.AsType[*events.PendingError](err)
	if !ok || p.ID != "größe" || p.Unsure || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if want := "command größe is in the stream and has no final result yet; do it again with this id"; !contains(err, want) {
		t.Errorf("got %v, want %s", err, want)
	}
	// The result comes, and is there for who asks again.
	msg, err := resultMsg(f.commands()[0], events.Result{Operation: "setTaskState", Outcome: events.Applied})
	if err != nil {
		t.Fatal(err)
	}
	f.b.store(t, msg)
	if r, err := c.Do(t.Context(), setState, events.WithID(p.ID)); err != nil || r.Outcome != events.Applied {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestDoNotSent(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	c := events.NewClient(b.js, "acme")
	if _, err := b.js.UpdateStream(t.Context(), jetstream.StreamConfig{
		Name: prefix.CommandStream("acme"), Subjects: []string{"factro.command.>"}, Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardNew, MaxMsgs: 1, Duplicates: time.Minute,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Publish(t.Context(), "factro.command.acme.task.deleteTask", nil); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		c    *events.Client
		cmd  events.Payload
		opts []events.DoOption
		want string
	}{
		"full":              {c, setState, nil, "maximum messages exceeded"},
		"too large":         {c, payload.CreateTask{Title: strings.Repeat("x", 2<<20)}, nil, "too large for a message"},
		"no stream of ours": {events.NewClient(b.js, "other"), setState, nil, "another stream takes this subject than FACTRO_COMMANDS_OTHER"},
		"no object":         {c, payload.Generic{Name: "a", Resource: "b", Data: json.RawMessage(`[1]`)}, nil, "data of a is an array, want an object"},
		"no name":           {c, payload.Generic{Resource: "task"}, nil, "want names of"},
		"wildcard":          {c, payload.Generic{Name: "*", Resource: "task"}, nil, "want names of"},
		"bad source":        {c, setState, []events.DoOption{events.WithSource("%zz")}, "source: parse"},
		"no source":         {c, setState, []events.DoOption{events.WithSource("")}, "source"},
		"no such":           {events.NewClient(b.js, "acme", events.WithPrefix("other")), setState, nil, "no response from stream"},
		"long id":           {c, setState, []events.DoOption{events.WithID(strings.Repeat("ü", 257))}, "attribute id has 514 bytes, want at most 512"},
		"long source":       {c, setState, []events.DoOption{events.WithSource("urn:" + strings.Repeat("x", 509))}, "attribute source has 513 bytes, want at most 512"},
		"long other":        {c, setState, []events.DoOption{events.WithCorrelationID(strings.Repeat("x", 513))}, "attribute correlationid has 513 bytes"},
		"blank id":          {c, setState, []events.DoOption{events.WithID(" ")}, "attribute id"},
		"any cloud":         {events.NewClient(b.js, "*"), setState, nil, `cloud "*" is not of the form [a-z0-9][a-z0-9-]*`},
		"two tokens":        {events.NewClient(b.js, "acme.x"), setState, nil, `cloud "acme.x" is not`},
		"no cloud":          {events.NewClient(b.js, ""), setState, nil, `cloud "" is not`},
		"capitals":          {events.NewClient(b.js, "Acme"), setState, nil, `cloud "Acme" is not`},
		"any prefix":        {events.NewClient(b.js, "acme", events.WithPrefix("*")), setState, nil, `prefix "*" is not`},
		"no time":           {c, payload.CreateAppointment{}, nil, "the time is not set; use At or Day"},
		"broken file":       {c, payload.CreateTaskDocument{TaskID: "8d3f", File: payload.File{Name: "Plan.pdf"}}, nil, `file "Plan.pdf" needs either data or an object`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := tt.c.Do(t.Context(), tt.cmd, tt.opts...)
			if !contains(err, tt.want) || r.Outcome != "" {
				t.Errorf("got %+v, %v; want %s", r, err, tt.want)
			}
			if _, ok := errors.AsType[*events.PendingError](err); ok {
				t.Errorf("it was not sent, but is said to be pending: %v", err)
			}
		})
	}
}
