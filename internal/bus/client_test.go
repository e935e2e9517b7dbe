package bus

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/embedded"
)

func dialed(t testing.TB, server *broker) *Client {
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

func TestWaitStreamsGivesUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := dialed(t, startBroker(t)).WaitStreams(ctx, "factro", "acme"); err == nil {
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
		b, err := Connect(Config{URL: "nats://embedded", Server: s, Prefix: "factro", Clouds: []string{"acme"}, Replicas: 1, Manage: true, DrainTimeout: time.Second}, quiet(), withStreams(quiet()))
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
		if err := publisher(t, b).Publish(t.Context(), eventSubject, taskEvent(t, "e-1"+listen), "e-1"+listen); err != nil {
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

// TestDialHidesPasswords: they may stand in an address, and the command line prints why it did not connect.
func TestDialHidesPasswords(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"nats://müller:geheim@127.0.0.1:1":                           "nats://[hidden]@127.0.0.1:1",
		"nats://geheim@127.0.0.1:1":                                  "nats://[hidden]@127.0.0.1:1",
		"nats://127.0.0.1:1, tls://m:geheim@127.0.0.1:2,127.0.0.1:3": "nats://127.0.0.1:1,",
		"nats://m:ge,h@127.0.0.1:1":                                  "nats://[hidden]@127.0.0.1:1",
		"nats://geh:1,2@127.0.0.1:1":                                 "a comma as %2C",
		"nats://geh:12,34,geheim@127.0.0.1:1":                        "a comma as %2C",
		"nats://geh:1/2@127.0.0.1:1":                                 "/ as %2F",
		"nats://geh:1?2@127.0.0.1:1":                                 "? as %3F",
		"nats://geh:1#2@127.0.0.1:1":                                 "# as %23",
		"nats://m:geh%2Cei%40m@127.0.0.1:1":                          "nats://[hidden]@127.0.0.1:1",
		"müller:geheim@127.0.0.1:1":                                  " [hidden]@127.0.0.1:1",
		"nats://m:geheim%ss@127.0.0.1:1":                             "nats://[hidden]@127.0.0.1:1",
		"nats://m:geh/geheim@127.0.0.1:1":                            "nats://[hidden]@127.0.0.1:1",
		"nats://127.0.0.1:1":                                         "nats://127.0.0.1:1",
	} {
		_, err := Dial(Config{URL: address})
		if err == nil || strings.Contains(err.Error(), "geh") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

func TestExtract(t *testing.T) {
	t.Parallel()
	const hop, origin = "00-11111111111111111111111111111111-2222222222222222-01", "00-33333333333333333333333333333333-4444444444444444-01"
	for name, test := range map[string]struct {
		header nats.Header
		want   string
	}{
		"both":        {nats.Header{"traceparent": {hop}, "ce-traceparent": {origin}}, strings.Repeat("1", 32)},
		"hop only":    {nats.Header{"traceparent": {hop}}, strings.Repeat("1", 32)},
		"origin only": {nats.Header{"ce-traceparent": {origin}, "ce-tracestate": {"a=b"}}, strings.Repeat("3", 32)},
		"none":        {nats.Header{}, ""},
		"nonsense":    {nats.Header{"traceparent": {"x"}}, ""},
	} {
		if got := (Message{Header: test.header}).TraceID(); got != test.want {
			t.Errorf("%s: trace %q, want %q", name, got, test.want)
		}
	}
}

// client is a connection of the command line's.
func (b *broker) client(t testing.TB) *Client {
	t.Helper()
	c, err := Dial(b.config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestHeaderCase: a sender's headers count in any case, as those of other clients and of bridges from HTTP are.
func TestHeaderCase(t *testing.T) {
	t.Parallel()
	const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	for name, tt := range map[string]struct {
		header nats.Header
		id     string
	}{
		"plain":     {nats.Header{"Traceparent": {"00-" + traceID + "-00f067aa0ba902b7-01"}, "nats-msg-id": {"p-1"}}, "p-1"},
		"canonical": {nats.Header{"TRACEPARENT": {"00-" + traceID + "-00f067aa0ba902b7-01"}, "Nats-Msg-Id": {"p-2"}}, "p-2"},
		"event": {nats.Header{
			"Ce-Id": {"c-1"}, "Ce-Specversion": {"1.0"}, "CE-Source": {"urn:x"}, "Ce-Type": {"com.factro.command.createTask"},
			"Ce-Traceparent": {"00-" + traceID + "-00f067aa0ba902b7-01"},
		}, "c-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := trace.SpanContextFromContext(delivery.Extract(t.Context(), measure.Propagator, tt.header)).TraceID().String(); got != traceID {
				t.Errorf("the trace is %s", got)
			}
			broker := startBroker(t)
			b := run(t, broker.connect(t, quiet()))
			w, got := collector()
			consume(t, b, w)
			out := broker.outside(t)
			out.publish(&nats.Msg{Subject: "factro.command.acme.task.createTask", Header: tt.header, Data: []byte("{}")})
			if cmd := receive(t, got); cmd.Event.ID() != tt.id {
				t.Errorf("the id is %s, want %s", cmd.Event.ID(), tt.id)
			}
		})
	}
}
