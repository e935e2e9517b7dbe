package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// connected begins an example: a broker with the contract's streams, and at its other end somebody who plays the bridge
// of the cloud acme. It shows what a program sends and gets, and not what factro would say to it.
func connected(work func(events.Command) []events.Result) (js jetstream.JetStream, end func()) {
	t, end := natstest.Example()
	f := &fakeBridge{b: startBroker(t), work: work}
	f.play(t)
	return f.b.js, end
}

// happened has the bridge publish an event about a task.
func happened(js jetstream.JetStream, action, id string) {
	msg, err := events.ToMsg(prefix.Event("acme", "task", id, action), webhook(action, id))
	if err == nil {
		_, err = js.PublishMsg(context.Background(), msg)
	}
	if err != nil {
		panic(err)
	}
}

func ExampleSubscribe() {
	js, end := connected(nil)
	defer end()
	happened(js, "TaskStateChanged", "8d3f6c1e")
	happened(js, "TaskStateChanged", "b7a1")

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	filter := events.Prefix(events.DefaultPrefix).EventFilter("acme", "task", events.Any, "TaskStateChanged")
	err := events.Subscribe(ctx, js, filter, func(_ context.Context, e events.Event) error {
		fmt.Println(e.Action, "of", e.Resource, e.EntityID)
		switch {
		case e.EntityID == "b7a1" && e.Deliveries == 1:
			return events.Retry(errors.New("the books are closed"), 10*time.Millisecond)
		case e.EntityID == "b7a1":
			cancel() // this example has seen enough
		}
		return nil
	}, events.Durable("billing"), events.Since(time.Time{}))
	fmt.Println(err)
	// Output:
	// TaskStateChanged of task 8d3f6c1e
	// TaskStateChanged of task b7a1
	// TaskStateChanged of task b7a1
	// <nil>
}

func ExampleClient_Do() {
	js, end := connected(always(applied(map[string]any{
		"id": "8d3f6c1e", "title": "Prüfung", "taskState": "planned", "endDate": "2026-08-31T22:00:00.000Z",
	})))
	defer end()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := events.NewClient(js, "acme", events.WithDefaults(events.WithSource("urn:example:billing")))
	create := payload.CreateTask{
		Title: "Prüfung", TargetParentID: "b7a1", EndDate: payload.Set(payload.Day(2026, time.September, 1)),
	}
	result, err := client.Do(ctx, create)
	if err != nil {
		fmt.Println(err)
		return
	}
	task, err := create.Answer(result)
	fmt.Println(task.ID, task.Title, task.TaskState, err)
	if end, ok := task.EndDate.Get(); ok {
		fmt.Println(end.CalendarDay())
	}
	// Output:
	// 8d3f6c1e Prüfung planned <nil>
	// 2026 September 1
}

// An error says why the command was not carried out, or that its result is still to come.
func ExampleClient_Do_errors() {
	js, end := connected(always(events.Result{Outcome: events.Rejected, Status: 403, Attempts: 1, Error: &events.Error{
		Code: events.CodeRefused, Message: "factro answered 403: Task is closed",
	}}))
	defer end()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	change := payload.UpdateTask{TaskID: "8d3f6c1e", Title: payload.Set("Größe prüfen")}
	_, err := events.NewClient(js, "acme").Do(ctx, change)
	if refused, ok := errors.AsType[*events.Error](err); ok {
		fmt.Println(refused.Code, refused.Status, refused.Message)
	} else if pending, ok := errors.AsType[*events.PendingError](err); ok {
		fmt.Println("ask again with", pending.ID)
	}
	// Output:
	// refused 403 factro answered 403: Task is closed
}

// A deferred command has to wait, for factro's request budget for example. Do goes on waiting.
func ExampleOnDeferred() {
	js, end := connected(always(
		events.Result{Outcome: events.Deferred, Error: &events.Error{
			Code: events.CodeThrottled, Message: "factro's request budget is used up for now",
		}},
		events.Result{Outcome: events.Applied, Status: 200, Attempts: 1},
	))
	defer end()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	command := payload.SetTaskState{TaskID: "8d3f6c1e", State: payload.TaskStateReview}
	result, err := events.NewClient(js, "acme").Do(ctx, command, events.OnDeferred(func(r events.Result) {
		fmt.Println(r.Outcome, r.Error.Message)
	}))
	fmt.Println(result.Outcome, err)
	// Output:
	// deferred factro's request budget is used up for now
	// applied <nil>
}

func ExampleAsk() {
	js, end := connected(nil)
	defer end()
	answers(js, map[string]string{
		"factro.query.acme.task.getTask":                `{"id":"8d3f6c1e","title":"Prüfung","taskState":"review"}`,
		"factro.query.acme.work-record.listWorkRecords": `[{"minutesWorked":90},{"minutesWorked":30}]`,
	})

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := events.NewClient(js, "acme")
	task, err := events.Ask(ctx, client, payload.GetTask{TaskID: "8d3f6c1e"})
	fmt.Println(task.Title, task.TaskState, err)

	// The Core API has no pages. Of work records a list can be bounded by days.
	records, err := events.Ask(ctx, client, payload.ListWorkRecords{
		StartDate: payload.Set("2026-09-01"), EndDate: payload.Set("2026-09-30"),
	})
	fmt.Println(len(records), err)
	// Output:
	// Prüfung review <nil>
	// 2 <nil>
}

// Query returns the bytes as they came. A list of any length is read one element at a time.
func ExampleClient_Query() {
	js, end := connected(nil)
	defer end()
	answers(js, map[string]string{
		"factro.query.acme.task.listTasks": `[{"id":"8d3f6c1e","title":"Prüfung"},{"id":"b7a1","title":"Abnahme"}]`,
	})

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answer, err := events.NewClient(js, "acme").Query(ctx, payload.ListTasks{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = answer.Close() }()
	list := json.NewDecoder(answer)
	_, err = list.Token() // the bracket
	for err == nil && list.More() {
		var task payload.Task
		if err = list.Decode(&task); err == nil {
			fmt.Println(task.ID, task.Title)
		}
	}
	fmt.Println(err)
	// Output:
	// 8d3f6c1e Prüfung
	// b7a1 Abnahme
	// <nil>
}

// answers plays the bridge's side of queries, by their subjects.
func answers(js jetstream.JetStream, bySubject map[string]string) {
	for subject, answer := range bySubject {
		if _, err := js.Conn().Subscribe(subject, func(msg *nats.Msg) { _ = msg.Respond([]byte(answer)) }); err != nil {
			panic(err)
		}
	}
}
