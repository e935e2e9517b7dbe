package stored_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// TestScan: a scan reads what a stream has under one subject, goes on where it ended, and reads from the leader what another
// server does not know yet, with its body.
func TestScan(t *testing.T) {
	t.Parallel()
	b := bustest.Running(t, natstest.Start(t))
	const stream = "FACTRO_EVENTS_ACME"
	publish := func(from, to int) {
		for n := from; n < to; n++ {
			for _, subject := range []string{bustest.EventSubject, "factro.event.acme.task.2.TaskStateChanged"} {
				if err := bustest.Publisher(t, b).Publish(t.Context(), subject, numbered(t, subject, n), fmt.Sprint(subject, n)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	var got []string
	note := func(m *nats.Msg) { got = append(got, string(m.Data)) }
	want := func(n int) {
		t.Helper()
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"n":%d}`, i))
		}
		if !slices.Equal(got, all) {
			t.Errorf("got %v, want %v", got, all)
		}
	}
	publish(0, 3)
	last, err := stored.Scan(t.Context(), b, stream, bustest.EventSubject, 0, time.Now().Add(-time.Hour), note)
	if err != nil || last != 5 {
		t.Errorf("it ended at %d: %v", last, err)
	}
	want(3)
	publish(3, 5)
	if last, err = stored.CatchUp(t.Context(), b, stream, bustest.EventSubject, last, note); err != nil || last != 9 {
		t.Errorf("it caught up to %d: %v", last, err)
	}
	want(5)
	if last, err = stored.Scan(t.Context(), b, stream, bustest.EventSubject, last, time.Time{}, note); err != nil || last != 9 {
		t.Errorf("it ended at %d: %v", last, err)
	}
	want(5)
}

// numbered is an event whose body is a number.
func numbered(t *testing.T, subject string, n int) event.Event {
	t.Helper()
	e := bustest.TaskEvent(t, fmt.Sprint(subject, n))
	if err := e.SetData("application/json", json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))); err != nil {
		t.Fatal(err)
	}
	return e
}
