package bus

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestScan: a scan reads what a stream has under one subject, goes on where it ended, and reads from the leader what another
// server does not know yet, with its body.
func TestScan(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	const stream = "FACTRO_EVENTS_ACME"
	publish := func(from, to int) {
		for n := from; n < to; n++ {
			for _, subject := range []string{eventSubject, "factro.event.acme.task.2.TaskStateChanged"} {
				if err := publisher(t, b).Publish(t.Context(), subject, bodyEvent(t, fmt.Sprint(subject, n), fmt.Sprintf(`{"n":%d}`, n)), fmt.Sprint(subject, n)); err != nil {
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
	last, err := b.Scan(t.Context(), stream, eventSubject, 0, time.Now().Add(-time.Hour), note)
	if err != nil || last != 5 {
		t.Errorf("it ended at %d: %v", last, err)
	}
	want(3)
	publish(3, 5)
	behind := scanner{b, stream, eventSubject, last, note}
	if err := behind.catchUp(t.Context()); err != nil || behind.last != 9 {
		t.Errorf("it caught up to %d: %v", behind.last, err)
	}
	want(5)
	if last, err = b.Scan(t.Context(), stream, eventSubject, behind.last, time.Time{}, note); err != nil || last != 9 {
		t.Errorf("it ended at %d: %v", last, err)
	}
	want(5)
}
