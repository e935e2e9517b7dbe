package delivery_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// broker answers verdicts on a subject, from the n-th on, and counts them.
func broker(t *testing.T, nc *nats.Conn, n int32) (reply string, count *atomic.Int32) {
	t.Helper()
	count = new(atomic.Int32)
	reply = nc.NewInbox()
	if _, err := nc.Subscribe(reply, func(m *nats.Msg) {
		if count.Add(1) >= n {
			_ = m.Respond(nil)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return reply, count
}

// TestConfirmRepeats: an Ack and a Term that get no answer are sent again, a Nak never is.
func TestConfirmRepeats(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		verdict delivery.Verdict
		answers int32 // the first verdict that is answered
		sent    int32
		err     error
	}{
		"ack":                 {delivery.Ack, 1, 1, nil},
		"ack, lost once":      {delivery.Ack, 2, 2, nil},
		"term, lost twice":    {delivery.Term("rejected"), 3, 3, nil},
		"ack, never":          {delivery.Ack, 9, 3, context.DeadlineExceeded},
		"nak":                 {delivery.Nak(0), 1, 1, nil},
		"nak, lost":           {delivery.Nak(0), 2, 1, context.DeadlineExceeded},
		"nak, later and lost": {delivery.Nak(time.Minute), 2, 1, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc, _ := natstest.Start(t).Connect(t)
			reply, count := broker(t, nc, tt.answers)
			if err := delivery.Confirm(t.Context(), delivery.LineOf(nc), nc, reply, tt.verdict); !errors.Is(err, tt.err) {
				t.Errorf("it returned %v, want %v", err, tt.err)
			}
			if got := count.Load(); got != tt.sent {
				t.Errorf("%s was sent %d times, want %d", tt.verdict, got, tt.sent)
			}
		})
	}
}

// TestConfirmWaits: a broker that does not know the consumer yet is asked again, also with a Nak, since nothing arrived.
func TestConfirmWaits(t *testing.T) {
	t.Parallel()
	for _, verdict := range []delivery.Verdict{delivery.Ack, delivery.Nak(0)} {
		t.Run(string(verdict), func(t *testing.T) {
			t.Parallel()
			nc, _ := natstest.Start(t).Connect(t)
			reply := nc.NewInbox()
			confirmed := make(chan error, 1)
			go func() { confirmed <- delivery.Confirm(t.Context(), delivery.LineOf(nc), nc, reply, verdict) }()
			select {
			case err := <-confirmed:
				t.Fatalf("it gave up at once: %v", err)
			case <-time.After(200 * time.Millisecond): // a few attempts have found nobody
			}
			sub, err := nc.Subscribe(reply, func(m *nats.Msg) { _ = m.Respond(nil) })
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = sub.Unsubscribe() }()
			if err := <-confirmed; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestConfirmGivesUp: a consumer that is gone, a connection that was closed, and one that does not come back end it.
func TestConfirmGivesUp(t *testing.T) {
	t.Parallel()
	t.Run("nobody", func(t *testing.T) {
		t.Parallel()
		nc, _ := natstest.Start(t).Connect(t)
		if err := delivery.Confirm(t.Context(), delivery.LineOf(nc), nc, nc.NewInbox(), delivery.Ack); !errors.Is(err, nats.ErrNoResponders) {
			t.Error(err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		nc, _ := natstest.Start(t).Connect(t)
		nc.Close()
		if err := delivery.Confirm(t.Context(), delivery.LineOf(nc), nc, nc.NewInbox(), delivery.Ack); !errors.Is(err, nats.ErrConnectionClosed) {
			t.Error(err)
		}
	})
	t.Run("away", func(t *testing.T) {
		t.Parallel()
		s := natstest.Start(t)
		nc, _ := s.Connect(t)
		gone := nc.StatusChanged(nats.RECONNECTING)
		s.Stop()
		<-gone
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := delivery.Confirm(ctx, delivery.LineOf(nc), nc, nc.NewInbox(), delivery.Nak(0)); !errors.Is(err, nats.ErrConnectionReconnecting) {
			t.Error(err)
		}
	})
}

// consumer makes a stream with one message and a consumer that takes one at a time.
func consumer(t *testing.T, nc *nats.Conn) (jetstream.JetStream, delivery.Puller) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	if _, err = js.CreateConsumer(t.Context(), "S", jetstream.ConsumerConfig{Durable: "C", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err = js.Publish(t.Context(), "s", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	return js, delivery.Puller{
		Conn: nc, Line: delivery.LineOf(nc), API: "$JS.API", Stream: "S", Consumer: "C", Heartbeat: 500 * time.Millisecond,
	}
}

// TestPull: a message comes with what its verdict needs, and each request leaves nothing behind.
func TestPull(t *testing.T) {
	t.Parallel()
	nc, _ := natstest.Start(t).Connect(t)
	js, p := consumer(t, nc)
	before := nc.NumSubscriptions()
	msg, err := p.Next(t.Context())
	if err != nil || string(msg.Data) != "hello" {
		t.Fatal(msg, err)
	}
	if meta, err := msg.Metadata(); err != nil || meta.NumDelivered != 1 {
		t.Errorf("%+v, %v", meta, err)
	}
	if err := delivery.Confirm(t.Context(), p.Line, nc, msg.Reply, delivery.Nak(0)); err != nil {
		t.Fatal(err)
	}
	if msg, err = p.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if meta, err := msg.Metadata(); err != nil || meta.NumDelivered != 2 {
		t.Errorf("%+v, %v", meta, err)
	}
	if err := delivery.Confirm(t.Context(), p.Line, nc, msg.Reply, delivery.Ack); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if msg, err := p.Next(ctx); msg != nil || err != nil {
		t.Errorf("of an empty stream came %v, %v", msg, err)
	}
	if got := nc.NumSubscriptions(); got > before+1 { // the client's own for requests may be one
		t.Errorf("%d subscriptions are left, there were %d", got, before)
	}
	c, err := js.Consumer(t.Context(), "S", "C")
	if err != nil {
		t.Fatal(err)
	}
	if info := c.CachedInfo(); info.NumAckPending != 0 {
		t.Errorf("%d messages have no verdict", info.NumAckPending)
	}
}

// TestPullErrors: a status from the broker, or silence, ends the request with an error that names the reason.
func TestPullErrors(t *testing.T) {
	t.Parallel()
	drop := func(t *testing.T, js jetstream.JetStream) {
		t.Helper()
		if err := js.DeleteConsumer(t.Context(), "S", "C"); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("no such consumer", func(t *testing.T) {
		t.Parallel()
		nc, _ := natstest.Start(t).Connect(t)
		js, p := consumer(t, nc)
		drop(t, js)
		if msg, err := p.Next(t.Context()); !errors.Is(err, nats.ErrNoResponders) {
			t.Error(msg, err)
		}
	})
	t.Run("deleted meanwhile", func(t *testing.T) {
		t.Parallel()
		nc, _ := natstest.Start(t).Connect(t)
		js, p := consumer(t, nc)
		if err := js.DeleteStream(t.Context(), "S"); err != nil {
			t.Fatal(err)
		}
		p.Stream, p.Consumer = "E", "C"
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "E", Subjects: []string{"e"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateConsumer(t.Context(), "E", jetstream.ConsumerConfig{Durable: "C", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
			t.Fatal(err)
		}
		pulled := make(chan error, 1)
		go func() { _, err := p.Next(t.Context()); pulled <- err }()
		for { // until the request is there
			c, err := js.Consumer(t.Context(), "E", "C")
			if err != nil {
				t.Fatal(err)
			}
			if c.CachedInfo().NumWaiting > 0 {
				break
			}
		}
		if err := js.DeleteConsumer(t.Context(), "E", "C"); err != nil {
			t.Fatal(err)
		}
		if err := <-pulled; err == nil || !strings.Contains(err.Error(), "409") {
			t.Error(err)
		}
	})
	t.Run("silence", func(t *testing.T) {
		t.Parallel()
		nc, _ := natstest.Start(t).Connect(t)
		if _, err := nc.Subscribe("MUTE.>", func(*nats.Msg) {}); err != nil {
			t.Fatal(err)
		}
		p := delivery.Puller{Conn: nc, Line: delivery.LineOf(nc), API: "MUTE", Stream: "S", Consumer: "C", Heartbeat: 50 * time.Millisecond}
		if msg, err := p.Next(t.Context()); !errors.Is(err, delivery.ErrNoHeartbeat) {
			t.Error(msg, err)
		}
	})
	t.Run("the connection is lost", func(t *testing.T) {
		t.Parallel()
		nc, _ := natstest.Start(t).Connect(t)
		if _, err := nc.Subscribe("MUTE.>", func(*nats.Msg) { _ = nc.ForceReconnect() }); err != nil {
			t.Fatal(err)
		}
		p := delivery.Puller{Conn: nc, Line: delivery.LineOf(nc), API: "MUTE", Stream: "S", Consumer: "C", Heartbeat: time.Minute}
		if msg, err := p.Next(t.Context()); msg != nil || err != nil { // so that the caller asks again
			t.Error(msg, err)
		}
	})
}

// TestKeepAlive: it renews until it is stopped, and never after.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	renewed := make(chan struct{}, 1024)
	stop := delivery.KeepAlive(0, func() { renewed <- struct{}{} })
	<-renewed
	<-renewed
	stop()
	close(renewed) // a later call would panic
}

// TestAPI: requests reach the API in the way that the program has chosen.
func TestAPI(t *testing.T) {
	t.Parallel()
	nc, plain := natstest.Start(t).Connect(t)
	domain, err := jetstream.NewWithDomain(nc, "leaf")
	if err != nil {
		t.Fatal(err)
	}
	imported, err := jetstream.NewWithAPIPrefix(nc, "FROM.hub")
	if err != nil {
		t.Fatal(err)
	}
	for want, js := range map[string]jetstream.JetStream{"$JS.API": plain, "$JS.leaf.API": domain, "FROM.hub": imported} {
		if got := delivery.API(js); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestFinal: after a Nak the message comes again, and only then.
func TestFinal(t *testing.T) {
	t.Parallel()
	for v, want := range map[delivery.Verdict]bool{
		delivery.Ack: true, delivery.Term("rejected"): true, delivery.Nak(0): false, delivery.Nak(time.Second): false,
	} {
		if got := v.Final(); got != want {
			t.Errorf("%s: got %t, want %t", v, got, want)
		}
	}
}

// TestBackoff: the time grows, stays within its bounds whatever the number of failures is, and is not the same for all.
func TestBackoff(t *testing.T) {
	t.Parallel()
	for failures := range 80 {
		most := 30 * time.Second
		if failures < 7 {
			most = 250 * time.Millisecond << failures
		}
		if d := delivery.Backoff(failures); d < most/2 || d >= most {
			t.Errorf("after %d failures: %s, want half of %s or more", failures, d, most)
		}
	}
}
