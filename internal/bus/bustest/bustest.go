package bustest

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/ensure"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// Config is that of a bridge that owns the streams of the cloud acme.
func Config(s *natstest.Server) bus.Config {
	return bus.Config{URL: s.URL(), Name: "test", Prefix: "factro", Clouds: []string{"acme"}, Replicas: 1, Manage: true, DrainTimeout: 5 * time.Second}
}

// Connect returns a connection that does not run yet. It is closed at the end of the test.
func Connect(t testing.TB, s *natstest.Server, log *slog.Logger, change ...func(*bus.Config)) *bus.Conn {
	t.Helper()
	return ConnectWith(t, s, log, bus.Timing{}, change...)
}

// ConnectWith is Connect with other intervals than the usual ones of tests, as far as they are not zero.
func ConnectWith(t testing.TB, s *natstest.Server, log *slog.Logger, other bus.Timing, change ...func(*bus.Config)) *bus.Conn {
	t.Helper()
	cfg := Config(s)
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if cfg.Files, err = lastgood.NewFiles(log); err != nil {
		t.Fatal(err)
	}
	usual := bus.Timing{Heartbeat: 500 * time.Millisecond, CheckEvery: 50 * time.Millisecond, CheckTimeout: 2 * time.Second}
	conn, _, err := ensure.Connect(cfg, log, bus.WithTiming(usual), bus.WithTiming(other))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// Ensurer makes streams and buckets on a connection.
func Ensurer(conn *bus.Conn) *ensure.Ensurer { return ensure.New(conn, Quiet()) }

// Running returns a connection whose streams are there.
func Running(t testing.TB, s *natstest.Server, change ...func(*bus.Config)) *bus.Conn {
	t.Helper()
	return Run(t, Connect(t, s, Quiet(), change...))
}

// Publisher publishes on a connection.
func Publisher(t testing.TB, conn *bus.Conn) *publish.Publisher {
	t.Helper()
	p, err := publish.New(t.Context(), conn, Quiet())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Clouds has a connection work for these.
func Clouds(names ...string) func(*bus.Config) { return func(c *bus.Config) { c.Clouds = names } }

// Run runs a connection until the test ends, and waits until its streams are there.
func Run(t testing.TB, conn *bus.Conn) *bus.Conn {
	t.Helper()
	Start(t, conn.Run)
	Ready(t, conn)
	return conn
}

// Ready waits until a connection reports that all is well.
func Ready(t testing.TB, conn *bus.Conn) {
	t.Helper()
	if !natstest.Within(func() bool { return conn.Health().Ready() == nil }) {
		t.Fatalf("the connection is not ready: %v", conn.Health().Ready())
	}
}

// Unready waits until readiness gives a reason that holds the text.
func Unready(t testing.TB, conn *bus.Conn, text string) {
	t.Helper()
	var last error
	if !natstest.Within(func() bool {
		last = conn.Health().Ready()
		return last != nil && strings.Contains(strings.ToLower(last.Error()), strings.ToLower(text))
	}) {
		t.Fatalf("readiness never reports %q, but: %v", text, last)
	}
}

// Start runs something in the background. The returned function stops it and waits for its end; so does the end of the test.
func Start(t testing.TB, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // t.Context ends before the cleanups, whose order counts
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// Outside is an ordinary client, which sees what the bridge stored and sends what others send.
type Outside struct {
	NC *nats.Conn
	JS jetstream.JetStream

	t testing.TB
}

// Connected returns a client of a server.
func Connected(t testing.TB, s *natstest.Server) Outside {
	t.Helper()
	nc, js := s.Connect(t)
	return Outside{nc, js, t}
}

// Stream looks a stream up.
func (o Outside) Stream(name string) jetstream.Stream {
	o.t.Helper()
	s, err := o.JS.Stream(o.t.Context(), name)
	if err != nil {
		o.t.Fatalf("stream %s: %v", name, err)
	}
	return s
}

// Count is how many messages a stream holds.
func (o Outside) Count(name string) uint64 {
	o.t.Helper()
	return o.Stream(name).CachedInfo().State.Msgs
}

// Last is the last message of a stream.
func (o Outside) Last(name string) *jetstream.RawStreamMsg {
	o.t.Helper()
	s := o.Stream(name)
	m, err := s.GetMsg(o.t.Context(), s.CachedInfo().State.LastSeq)
	if err != nil {
		o.t.Fatalf("last message of %s: %v", name, err)
	}
	return m
}

// Events are the messages of the stream of events, in order.
func (o Outside) Events() []*jetstream.RawStreamMsg {
	o.t.Helper()
	var out []*jetstream.RawStreamMsg
	s := o.Stream("FACTRO_EVENTS_ACME")
	for seq := s.CachedInfo().State.FirstSeq; seq > 0 && seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(o.t.Context(), seq)
		if err != nil {
			o.t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

// Commands is the state of the consumer of the commands of acme. The bridge creates it again when it has lost the connection or
// takes over: for a moment there is none.
func (o Outside) Commands() *jetstream.ConsumerInfo {
	o.t.Helper()
	var c jetstream.Consumer
	natstest.Eventually(o.t, "there is a consumer of commands", func() bool {
		var err error
		if c, err = o.JS.Consumer(o.t.Context(), "FACTRO_COMMANDS_ACME", "egress-acme"); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			o.t.Fatal(err)
		}
		return err == nil
	})
	return c.CachedInfo()
}

// Command publishes a plain command with an id.
func (o Outside) Command(id string) {
	o.t.Helper()
	m := nats.NewMsg("factro.command.acme.task.deleteTask")
	m.Header.Set("Nats-Msg-Id", id)
	m.Data = []byte(`{"taskId":"` + id + `"}`)
	o.Publish(m)
}

// Publish stores a message in the stream that takes its subject.
func (o Outside) Publish(m *nats.Msg) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), natstest.Patience)
	defer cancel()
	for {
		attempt, stop := context.WithTimeout(ctx, 2*time.Second) // a change of leader leaves one without an answer
		_, err := o.JS.PublishMsg(attempt, m)
		stop()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			o.t.Fatalf("publish to %s: %v", m.Subject, err)
		}
	}
}

// Ask sends a request and returns its answer.
func (o Outside) Ask(subject, data string, header nats.Header) *nats.Msg {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), natstest.Patience)
	defer cancel()
	m, err := o.NC.RequestMsgWithContext(ctx, &nats.Msg{Subject: subject, Header: header, Data: []byte(data)})
	if err != nil {
		o.t.Fatalf("request to %s: %v", subject, err)
	}
	return m
}

// Bytes is the size that a stream may have, once it is there.
func (o Outside) Bytes(name string) int64 {
	o.t.Helper()
	natstest.Eventually(o.t, name+" is there", func() bool { _, err := o.JS.Stream(o.t.Context(), name); return err == nil })
	return o.Stream(name).CachedInfo().Config.MaxBytes
}

// Change updates the configuration of a stream, as an operator does.
func (o Outside) Change(stream string, change func(*jetstream.StreamConfig)) {
	o.t.Helper()
	cfg := o.Stream(stream).CachedInfo().Config
	change(&cfg)
	if _, err := o.JS.UpdateStream(o.t.Context(), cfg); err != nil {
		o.t.Fatal(err)
	}
}

// Limit makes a stream take only small messages; -1 ends that.
func (o Outside) Limit(stream string, most int32) {
	o.t.Helper()
	o.Change(stream, func(c *jetstream.StreamConfig) { c.MaxMsgSize = most })
}

// Seal makes a stream take nothing any more. There is no way to undo that.
func (o Outside) Seal(stream string) {
	o.t.Helper()
	o.Change(stream, func(c *jetstream.StreamConfig) { c.Sealed = true })
}

// Delete deletes a stream, which a bridge that may manage creates again.
func (o Outside) Delete(stream string) {
	o.t.Helper()
	if err := o.JS.DeleteStream(o.t.Context(), stream); err != nil {
		o.t.Fatal(err)
	}
}

// Client is a connection of the command line.
func Client(t testing.TB, s *natstest.Server) *client.Client {
	t.Helper()
	c, err := client.Dial(Config(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
