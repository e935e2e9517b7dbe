package bus

import (
	"context"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/embedded"
)

func dial(t testing.TB, server *broker) *Client {
	t.Helper()
	c, err := Dial(Config{URL: server.url(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestDialSaysAtOnce(t *testing.T) {
	t.Parallel()
	if _, err := Dial(Config{URL: newBroker(t).url()}); err == nil {
		t.Error("connected to nobody")
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	if err := b.Publish(t.Context(), eventSubject, taskEvent(t, "old"), "old"); err != nil {
		t.Fatal(err)
	}
	got := make(chan Message, 10)
	c := dial(t, server)
	if err := c.WaitStreams(t.Context(), "factro", "acme"); err != nil {
		t.Fatal(err)
	}
	start(t, func(ctx context.Context) error {
		return c.Tail(ctx, "FACTRO_EVENTS_ACME", []string{"factro.event.>"}, time.Now().Add(-time.Hour), func(m Message) { got <- m })
	})
	if m := receive(t, got); m.Event.ID() != "old" || m.Broken != nil || m.Subject != eventSubject || m.Time.IsZero() {
		t.Errorf("got %+v", m)
	}
	if err := b.Publish(t.Context(), eventSubject, taskEvent(t, "new"), "new"); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, got); m.Event.ID() != "new" {
		t.Errorf("got %+v", m)
	}
}

// TestTailOverOutage: what comes while the reader is cut off is shown, also if it has shown nothing before.
func TestTailOverOutage(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	if err := b.Publish(t.Context(), eventSubject, taskEvent(t, "old"), "old"); err != nil {
		t.Fatal(err)
	}
	got, outages := make(chan Message, 10), make(chan bool, 10)
	c := dial(t, server)
	before := server.outside(t).stream("FACTRO_EVENTS_ACME").CachedInfo().State.Consumers
	start(t, func(ctx context.Context) error {
		return c.Tail(ctx, "FACTRO_EVENTS_ACME", []string{"factro.event.>"}, time.Time{}, func(m Message) { got <- m })
	})
	start(t, func(ctx context.Context) error { c.Outages(ctx, func(up bool) { outages <- up }); return nil })
	eventually(t, "the reader is there", func() bool {
		return server.outside(t).stream("FACTRO_EVENTS_ACME").CachedInfo().State.Consumers > before
	})
	server.stop()
	if receive(t, outages) {
		t.Error("the outage is told as its end")
	}
	server.start()
	eventually(t, "the bridge stores again", func() bool { // before the reader, which waits two seconds until it connects again
		return b.Publish(t.Context(), eventSubject, taskEvent(t, "meanwhile"), "meanwhile") == nil
	})
	if !receive(t, outages) {
		t.Error("the end of the outage is told as another one")
	}
	if m := receive(t, got); m.Event.ID() != "meanwhile" {
		t.Errorf("got %s", m.Event.ID())
	}
}

func TestWaitStreamsGivesUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := dial(t, startBroker(t)).WaitStreams(ctx, "factro", "acme"); err == nil {
		t.Error("there are no streams")
	}
}

// TestEmbedded: the server in this process, reached without a network, and by others if it listens.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round, listen := range []string{"", "127.0.0.1:0"} {
		s, err := embedded.Start(embedded.Config{DataDir: dir, Listen: listen, SyncAlways: true})
		if err != nil {
			t.Fatal(err)
		}
		b, err := Connect(Config{URL: "nats://embedded", Server: s, Prefix: "factro", Clouds: []string{"acme"}, Replicas: 1, Manage: true, DrainTimeout: time.Second}, quiet())
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, b.Run)
		ready(t, b)
		stream, err := b.js.Stream(t.Context(), "FACTRO_EVENTS_ACME")
		if err != nil {
			t.Fatal(err)
		}
		if n := stream.CachedInfo().State.Msgs; n != uint64(round) {
			t.Errorf("in round %d the stream has %d messages", round, n)
		}
		if err := b.Publish(t.Context(), eventSubject, taskEvent(t, "e-1"+listen), "e-1"+listen); err != nil {
			t.Fatal(err)
		}
		if (s.URL() == "") != (listen == "") {
			t.Errorf("it listens at %q", s.URL())
		}
		stop()
		b.Close()
		s.Close()
	}
	for _, listen := range []string{"nonsense", "127.0.0.1:x"} {
		if _, err := embedded.Start(embedded.Config{DataDir: t.TempDir(), Listen: listen}); err == nil {
			t.Errorf("it listens at %q", listen)
		}
	}
}
