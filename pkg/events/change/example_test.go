package change_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// mirrored begins an example: a broker with the mirror of the cloud acme, which knows two tasks.
func mirrored() (m *mirror, js jetstream.JetStream, end func()) {
	t, end := natstest.Example()
	m = startMirror(t)
	m.put("task", "8d3f6c1e", `{"id":"8d3f6c1e","title":"Prüfung","taskState":"planned"}`)
	m.put("task", "b7a1", `{"id":"b7a1","title":"Abnahme","taskState":"review"}`)
	return m, m.js, end
}

func ExampleGet() {
	_, js, end := mirrored()
	defer end()

	state, err := change.Get(context.Background(), js, "acme", "task", "8d3f6c1e")
	if err != nil {
		fmt.Println(err)
		return
	}
	task, err := change.As[payload.Task](state)
	fmt.Println(task.Title, task.TaskState, err)

	_, err = change.Get(context.Background(), js, "acme", "task", "0000")
	fmt.Println(errors.Is(err, change.ErrNotFound))
	// Output:
	// Prüfung planned <nil>
	// true
}

// Watch is for a program that needs what is there now, such as one that fills a table.
func ExampleWatch() {
	m, js, end := mirrored()
	defer end()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := change.Watch(ctx, js, "acme", "task", func(_ context.Context, s change.State) error {
		if s.Gone {
			fmt.Println(s.ID, "is gone")
			cancel() // this example has seen enough
			return nil
		}
		task, err := change.As[payload.Task](s)
		fmt.Println(s.ID, task.Title)
		return err
	}, change.OnCurrent(func() {
		fmt.Println("that is all there is")
		go m.put("task", "b7a1", "") // somebody deletes it at factro
	}))
	fmt.Println(err)
	// Output:
	// 8d3f6c1e Prüfung
	// b7a1 Abnahme
	// that is all there is
	// b7a1 is gone
	// <nil>
}

// Subscribe is for a program that acts on what changes, and has to know what was before.
func ExampleSubscribe() {
	m, js, end := mirrored()
	defer end()
	m.changed(change.Updated, "task", "b7a1", `{"before":{"taskState":"review"},"after":{"taskState":"done"},"changed":["taskState"]}`, 2)

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	filter := change.Filter(events.DefaultPrefix, "acme", "task", events.Any, change.Updated)
	err := change.Subscribe(ctx, js, filter, func(_ context.Context, c change.Change) error {
		for _, field := range c.Changed {
			fmt.Printf("%s of %s: %s, was %s\n", field, c.ID, c.After[field], c.Before[field])
		}
		cancel() // this example has seen enough
		return nil
	}, events.Durable("billing"), events.Since(time.Time{}))
	fmt.Println(err)
	// Output:
	// taskState of b7a1: "done", was "review"
	// <nil>
}

func ExampleFold() {
	m, js, end := mirrored()
	defer end()
	state, err := change.Get(context.Background(), js, "acme", "task", "b7a1")
	if err != nil {
		fmt.Println(err)
		return
	}
	m.changed(change.Updated, "task", "b7a1", `{"before":{"taskState":"review"},"after":{"taskState":"done"},"changed":["taskState"]}`, state.Revision)
	for _, c := range m.changes(change.Filter(events.DefaultPrefix, "acme", "task", "b7a1", events.Any), 1) {
		state, err = change.Fold(state, c)
		fmt.Printf("%s %v\n", state.Data, err)
	}
	// Output:
	// {"id":"b7a1","taskState":"done","title":"Abnahme"} <nil>
}
