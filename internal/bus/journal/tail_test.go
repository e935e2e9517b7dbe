package journal_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

func TestTail(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Running(t, server)
	if err := bustest.Publisher(t, b).Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, "old"), "old"); err != nil {
		t.Fatal(err)
	}
	got := make(chan journal.Message, 10)
	c := bustest.Dial(t, server)
	if err := c.WaitStreams(t.Context(), "factro", "acme"); err != nil {
		t.Fatal(err)
	}
	bustest.Start(t, func(ctx context.Context) error {
		return journal.Tail(ctx, c.JetStream(), "FACTRO_EVENTS_ACME", []string{"factro.event.>"}, journal.Since(time.Now().Add(-time.Hour)), func(m journal.Message) { got <- m })
	})
	if m := natstest.Receive(t, got); m.Event.ID() != "old" || m.Broken != nil || m.Subject != bustest.EventSubject || m.Time.IsZero() {
		t.Errorf("got %+v", m)
	}
	if err := bustest.Publisher(t, b).Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, "new"), "new"); err != nil {
		t.Fatal(err)
	}
	if m := natstest.Receive(t, got); m.Event.ID() != "new" {
		t.Errorf("got %+v", m)
	}
}

// TestTailOverOutage: what comes while the reader is cut off is shown, also if it has shown nothing before.
func TestTailOverOutage(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Running(t, server)
	if err := bustest.Publisher(t, b).Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, "old"), "old"); err != nil {
		t.Fatal(err)
	}
	got, outages := make(chan journal.Message, 10), make(chan bool, 10)
	c := bustest.Dial(t, server)
	outside := bustest.Connected(t, server)
	bustest.Start(t, func(ctx context.Context) error {
		return journal.Tail(ctx, c.JetStream(), "FACTRO_EVENTS_ACME", []string{"factro.event.>"}, journal.Next(), func(m journal.Message) { got <- m })
	})
	bustest.Start(t, func(ctx context.Context) error { c.Outages(ctx, func(up bool) { outages <- up }); return nil })
	natstest.Eventually(t, "the reader waits for a message", func() bool {
		for c := range outside.Stream("FACTRO_EVENTS_ACME").ListConsumers(t.Context()).Info() {
			if c.NumWaiting > 0 && c.Config.DeliverPolicy == jetstream.DeliverByStartSequencePolicy {
				return true
			}
		}
		return false
	})
	server.Stop()
	if natstest.Receive(t, outages) {
		t.Error("the outage is reported as its end")
	}
	server.Start()
	natstest.Eventually(t, "the bridge stores again", func() bool { // before the reader, which waits two seconds until it connects again
		return bustest.Publisher(t, b).Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, "meanwhile"), "meanwhile") == nil
	})
	if !natstest.Receive(t, outages) {
		t.Error("the end of the outage is reported as another outage")
	}
	if m := natstest.Receive(t, got); m.Event.ID() != "meanwhile" {
		t.Errorf("got %s", m.Event.ID())
	}
}

// TestTailBegunInOutage starts a reader on a connection that is away. The reader waits and then begins where it was to begin.
func TestTailBegunInOutage(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Running(t, server)
	if err := bustest.Publisher(t, b).Publish(t.Context(), bustest.EventSubject, bustest.TaskEvent(t, "old"), "old"); err != nil {
		t.Fatal(err)
	}
	c := bustest.Dial(t, server)
	outages, got := make(chan bool, 10), make(chan journal.Message, 10)
	bustest.Start(t, func(ctx context.Context) error { c.Outages(ctx, func(up bool) { outages <- up }); return nil })
	server.Stop()
	natstest.Receive(t, outages)
	bustest.Start(t, func(ctx context.Context) error {
		return journal.Tail(ctx, c.JetStream(), "FACTRO_EVENTS_ACME", []string{"factro.event.>"}, journal.Since(time.Unix(1, 0)), func(m journal.Message) { got <- m })
	})
	server.Start()
	if m := natstest.Receive(t, got); m.Event.ID() != "old" {
		t.Errorf("got %s", m.Event.ID())
	}
}
