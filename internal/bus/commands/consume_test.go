package commands

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func TestConsumeDecodes(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	w, got := collector()
	consume(t, b, w)
	out := bustest.Connected(t, server)

	e := bustest.TaskEvent(t, "c-1")
	e.SetType("com.factro.command.deleteTask")
	e.DataEncoded = []byte(`{"taskId":"1"}`)
	binary, err := events.ToMsg("factro.command.acme.task.deleteTask", e)
	if err != nil {
		t.Fatal(err)
	}
	binary.Header["Factro-Reply-To"] = []string{"my.inbox"}
	structured, err := events.ToStructuredMsg(binary.Subject, e)
	if err != nil {
		t.Fatal(err)
	}
	plain := nats.NewMsg(binary.Subject)
	plain.Data = e.DataEncoded
	for name, test := range map[string]struct {
		msg         *nats.Msg
		id, replyTo string
	}{
		"binary":     {binary, "c-1", "my.inbox"},
		"structured": {structured, "c-1", ""},
		"plain":      {plain, "FACTRO_COMMANDS_ACME:", ""}, // stream and sequence
	} {
		out.Publish(test.msg)
		cmd := natstest.Receive(t, got)
		if !strings.HasPrefix(cmd.Event.ID(), test.id) || cmd.ReplyTo != test.replyTo || string(cmd.Event.Data()) != `{"taskId":"1"}` ||
			cmd.Cloud != "acme" || cmd.Resource != "task" || cmd.Operation != "deleteTask" {
			t.Errorf("%s came as %+v", name, cmd)
		}
	}
	natstest.Eventually(t, "all are settled", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 0 })
}

// TestVerdicts: what a handler returns decides the outcome of the message.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	type delivery struct {
		id string
		at time.Time
	}
	got := make(chan delivery, 10)
	verdicts := make(chan error, 10)
	consume(t, b, worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		got <- delivery{cmd.Event.ID(), time.Now()}
		return <-verdicts
	}})
	out := bustest.Connected(t, server)

	out.Command("later")
	first := natstest.Receive(t, got)
	verdicts <- RetryAfter(errors.New("busy"), 400*time.Millisecond)
	second := natstest.Receive(t, got)
	if d := second.at.Sub(first.at); d < 400*time.Millisecond {
		t.Errorf("it came back after %s, want 400ms", d)
	}
	verdicts <- RetryAfter(errors.New("stopped"), 0)
	third := natstest.Receive(t, got)
	if d := third.at.Sub(second.at); d > 5*time.Second { // AckWait is 10 s
		t.Errorf("it came back after %s, want at once", d)
	}
	verdicts <- errors.New("something went wrong")
	fourth := natstest.Receive(t, got)
	if d := fourth.at.Sub(third.at); d < 125*time.Millisecond || d > 9*time.Second {
		t.Errorf("it came back after %s, want a backoff", d)
	}
	if fourth.id != "later" || out.Count("FACTRO_COMMANDS_ACME") != 1 {
		t.Errorf("%s came back, %d in the stream", fourth.id, out.Count("FACTRO_COMMANDS_ACME"))
	}
	verdicts <- nil
	natstest.Eventually(t, "it is settled", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 0 })
	if n := out.Commands().NumAckPending; n != 0 {
		t.Errorf("%d are not acknowledged", n)
	}
}

// TestDeadLetter: a command is stored among the dead letters, as it came, before it is ended.
func TestDeadLetter(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	out := bustest.Connected(t, server)
	ended := make(chan uint64, 10)
	if _, err := out.NC.Subscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>", func(m *nats.Msg) {
		if strings.Contains(string(m.Data), `"reason":"refused"`) {
			ended <- out.Count("FACTRO_DEAD_ACME")
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := out.NC.Flush(); err != nil {
		t.Fatal(err)
	}
	consume(t, b, worker{handle: func(context.Context, context.Context, events.Command, error) error {
		return Terminal(deadletter.Letter{Subject: "factro.dead.command.acme.task.deleteTask", Code: "refused", Reason: errors.New("no\r\nNats-Rollup: all – nein")})
	}})

	m := nats.NewMsg("factro.command.acme.task.deleteTask")
	m.Data = []byte(`{"taskId":"1"}`)
	m.Header = nats.Header{"Nats-Msg-Id": {"c-1"}, "Nats-TTL": {"1h"}, "X-Own": {"a", "b"}, "Factro-Dead-Code": {"old"}}
	out.Publish(m)
	if n := natstest.Receive(t, ended); n != 1 {
		t.Fatalf("when the command was ended there were %d dead letters", n)
	}
	dead := out.Last("FACTRO_DEAD_ACME")
	if string(dead.Data) != string(m.Data) || strings.Join(dead.Header["X-Own"], ",") != "a,b" || dead.Subject != "factro.dead.command.acme.task.deleteTask" {
		t.Errorf("the dead letter is %s %q %v", dead.Subject, dead.Data, dead.Header)
	}
	reason, err := percent.Decode(dead.Header.Get("Factro-Dead-Reason"))
	if err != nil || reason != "no\r\nNats-Rollup: all – nein" {
		t.Errorf("the reason is %q, %v", reason, err)
	}
	for name, want := range map[string]string{
		"Factro-Dead-Code": "refused", "Factro-Dead-Subject": m.Subject, "Factro-Dead-Position": "FACTRO_COMMANDS_ACME:1",
		"Factro-Dead-Deliveries": "1", "Nats-TTL": "", "Nats-Rollup": "",
	} {
		if got := dead.Header.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	if id := dead.Header.Get("Nats-Msg-Id"); !strings.HasPrefix(id, "dead-FACTRO_COMMANDS_ACME:1-") {
		t.Errorf("the message id is %q", id)
	}
	natstest.Eventually(t, "the command is gone", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 0 })
}

// TestUnburied: a command whose dead letter cannot be stored is not ended.
func TestUnburied(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	out := bustest.Connected(t, server)
	got := make(chan string, 10)
	var subject atomic.Value
	subject.Store("nowhere.dead")
	consume(t, b, worker{handle: func(_, _ context.Context, cmd events.Command, _ error) error {
		got <- cmd.Event.ID()
		return Terminal(deadletter.Letter{Subject: subject.Load().(string), Code: "refused", Reason: errors.New("no")})
	}})
	out.Command("c-1")
	natstest.Receive(t, got)
	subject.Store("factro.dead.command.acme.task.deleteTask")
	if id := natstest.Receive(t, got); id != "c-1" {
		t.Errorf("%s came", id)
	}
	natstest.Eventually(t, "it is buried", func() bool { return out.Count("FACTRO_DEAD_ACME") == 1 && out.Count("FACTRO_COMMANDS_ACME") == 0 })
}

// TestLargeDeadLetter: a command that just fits does not fit any more with the headers of a dead letter. It must not come
// back for ever, since it holds up the others.
func TestLargeDeadLetter(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, func(o *server.Options) { o.MaxPayload = 100 << 10 })
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	out := bustest.Connected(t, server)
	consume(t, b, worker{handle: func(context.Context, context.Context, events.Command, error) error {
		return Terminal(deadletter.Letter{Subject: "factro.dead.command.acme.task.deleteTask", Code: "refused", Reason: errors.New("no")})
	}})
	for n, header := range []int{0, 50 << 10} { // large by its data, and by its headers too
		m := nats.NewMsg("factro.command.acme.task.deleteTask")
		m.Header.Set("X-Own", "kept")
		m.Header.Set("X-Large", strings.Repeat("h", header))
		m.Data = make([]byte, 100<<10-header-100)
		out.Publish(m)
		natstest.Eventually(t, "it is buried", func() bool {
			return out.Count("FACTRO_DEAD_ACME") == uint64(n+1) && out.Count("FACTRO_COMMANDS_ACME") == 0
		})
		dead := out.Last("FACTRO_DEAD_ACME")
		if dead.Header.Get("Factro-Dead-Code") != "refused" || dead.Header.Get("Factro-Dead-Cut") != strconv.Itoa(len(m.Data)) ||
			dead.Header.Get("X-Own") != "kept" || len(dead.Data) == 0 || dead.Header.Get("Factro-Dead-Position") == "" {
			t.Errorf("the dead letter has %d bytes, %v", len(dead.Data), dead.Header)
		}
	}
}

// TestSlowHandler: a command that takes longer than AckWait is renewed and not delivered a second time. The time is that
// of the consumer as it is, which an operator may have made.
func TestSlowHandler(t *testing.T) {
	t.Parallel()
	for _, operators := range []bool{false, true} {
		t.Run(strconv.FormatBool(operators), func(t *testing.T) {
			t.Parallel()
			server, timing := natstest.Start(t), bus.Timing{AckWait: time.Second}
			user := func(*bus.Config) {}
			if operators {
				server, timing = natstest.Start(t, bustest.Users(bustest.Denied("$JS.API.CONSUMER.CREATE.FACTRO_COMMANDS_ACME.>", ""))), bus.Timing{}
				user = bustest.AsBridge
			}
			b := bustest.Run(t, bustest.ConnectWith(t, server, bustest.Quiet(), timing, user))
			out := bustest.Connected(t, server)
			if operators {
				if _, err := out.JS.CreateConsumer(t.Context(), "FACTRO_COMMANDS_ACME", jetstream.ConsumerConfig{
					Durable: "egress-acme", FilterSubject: "factro.command.acme.>", AckPolicy: jetstream.AckExplicitPolicy,
					MaxAckPending: 5, AckWait: time.Second,
				}); err != nil {
					t.Fatal(err)
				}
			}
			renewals := make(chan struct{}, 100)
			if _, err := out.NC.Subscribe("$JS.ACK.>", func(m *nats.Msg) {
				if string(m.Data) == "+WPI" {
					renewals <- struct{}{}
				}
			}); err != nil {
				t.Fatal(err)
			}
			if err := out.NC.Flush(); err != nil {
				t.Fatal(err)
			}
			var calls atomic.Int32
			finish := make(chan struct{})
			w := worker{handle: func(context.Context, context.Context, events.Command, error) error {
				calls.Add(1)
				<-finish
				return nil
			}}
			consume(t, b, w)
			consume(t, b, w) // a second one, which would get what is redelivered
			out.Command("slow")
			for range 6 { // twice AckWait
				natstest.Receive(t, renewals)
			}
			close(finish)
			natstest.Eventually(t, "it is settled", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 0 })
			if n := calls.Load(); n != 1 {
				t.Errorf("the command was handled %d times", n)
			}
		})
	}
}

// TestOneInFlight: over all bridges at most one command of a cloud is in flight.
func TestOneInFlight(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	var inFlight, most, handled atomic.Int32
	w := worker{handle: func(ctx, _ context.Context, _ events.Command, _ error) error {
		most.Store(max(most.Load(), inFlight.Add(1)))
		defer inFlight.Add(-1)
		select { // long enough for another to begin, if it could
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
		handled.Add(1)
		return nil
	}}
	for range 2 {
		consume(t, bustest.Run(t, bustest.Connect(t, server, bustest.Quiet())), w)
	}
	out := bustest.Connected(t, server)
	for i := range 30 {
		out.Command(strconv.Itoa(i))
	}
	natstest.Eventually(t, "all are settled", func() bool { return out.Count("FACTRO_COMMANDS_ACME") == 0 })
	if most.Load() != 1 || handled.Load() != 30 {
		t.Errorf("%d in flight at once, %d handled, want 1 and 30", most.Load(), handled.Load())
	}
}

// TestReadyGate: while the worker is not ready nothing is carried out, and what goes first then is decided then.
func TestReadyGate(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	entered, pass := make(chan struct{}, 10), make(chan struct{})
	got := make(chan string, 10)
	consume(t, b, worker{
		ready: func(ctx context.Context) error {
			entered <- struct{}{}
			select {
			case <-pass:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		handle: func(_, _ context.Context, cmd events.Command, _ error) error {
			got <- cmd.Event.ID()
			return nil
		},
	})
	out := bustest.Connected(t, server)
	natstest.Receive(t, entered)
	out.Command("a")
	out.Command("b")
	urgent := nats.NewMsg(refusedCommand)
	urgent.Header = nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"urgent"}, "ce-source": {"urn:x"}, "ce-type": {"com.factro.command.deleteTask"}, "ce-priority": {"high"}}
	out.Publish(urgent)
	natstest.Eventually(t, "all are known", func() bool { return out.Commands().NumAckPending == 3 })
	for range 3 { // a reconnect has all of it come again
		back := b.NATS().Stats().Reconnects
		if err := b.NATS().ForceReconnect(); err != nil {
			t.Fatal(err)
		}
		natstest.Eventually(t, "it is back", func() bool { return b.NATS().Stats().Reconnects > back && b.NATS().IsConnected() })
	}
	natstest.Eventually(t, "all are known again", func() bool { return out.Commands().NumAckPending == 3 })
	if len(got) != 0 {
		t.Errorf("%s was carried out", <-got)
	}
	for _, want := range []string{"urgent", "a", "b"} {
		for id := ""; id == ""; { // a worker is asked again when there was nothing to carry out
			select {
			case pass <- struct{}{}:
			case id = <-got:
				if id != want {
					t.Errorf("%s came, want %s", id, want)
				}
			case <-time.After(natstest.Patience):
				t.Fatalf("%s did not come", want)
			}
		}
	}
}

func TestProcessSpan(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet()))
	w, got := collector()
	stop := consume(t, b, w)
	m := nats.NewMsg("factro.command.acme.task.deleteTask")
	m.Header["traceparent"] = []string{"00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
	m.Data = []byte(`{"taskId":"MARKER"}`)
	bustest.Connected(t, server).Publish(m)
	natstest.Receive(t, got)
	stop()
	found := false
	for _, s := range bustest.Spans.GetSpans() {
		if s.SpanContext.TraceID().String() != "5bf92f3577b34da6a3ce929d0e0e4736" {
			continue
		}
		found = true
		if s.Name != "process factro.command.acme" || s.SpanKind != trace.SpanKindConsumer || s.Parent.SpanID().String() != "00f067aa0ba902b7" ||
			len(s.Links) != 1 || len(s.Events) != 1 || s.Events[0].Name != "ack" {
			t.Errorf("span %+v", s)
		}
		for _, a := range s.Attributes {
			if strings.Contains(a.Value.String(), "MARKER") {
				t.Errorf("the span's %s has the command's data", a.Key)
			}
		}
	}
	if !found {
		t.Error("the sender's trace is not continued")
	}
}

func TestPendingMetric(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	b := bustest.Run(t, bustest.Connect(t, server, bustest.Quiet(), bustest.Clouds("waiting")))
	entered := make(chan struct{}, 10)
	c, _ := consumer(t, b, bustest.Quiet())
	bustest.Start(t, func(ctx context.Context) error {
		return c.Run(ctx, "waiting", Options{}, worker{ready: func(ctx context.Context) error {
			entered <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}})
	})
	natstest.Receive(t, entered)
	m := nats.NewMsg("factro.command.waiting.task.deleteTask")
	bustest.Connected(t, server).Publish(m)
	pending := func() int64 {
		var all metricdata.ResourceMetrics
		if err := bustest.Metrics.Collect(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		for _, s := range all.ScopeMetrics {
			for _, m := range s.Metrics {
				if m.Name != "factro.bridge.commands.pending" {
					continue
				}
				for _, p := range m.Data.(metricdata.Gauge[int64]).DataPoints {
					if cloud, _ := p.Attributes.Value("factro.cloud"); cloud.AsString() == "waiting" {
						return p.Value
					}
				}
			}
		}
		return -1
	}
	natstest.Eventually(t, "one command is pending", func() bool { return pending() == 1 })
}
