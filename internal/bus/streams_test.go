package bus

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestStreams is the contract's table of streams.
func TestStreams(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	run(t, server.connect(t, quiet()))
	out := server.outside(t)
	for _, want := range []jetstream.StreamConfig{
		{Name: "FACTRO_EVENTS_ACME", Subjects: []string{"factro.event.acme.>"}, MaxAge: 30 * 24 * time.Hour, MaxMsgs: -1, MaxBytes: 1 << 30},
		{
			Name: "FACTRO_COMMANDS_ACME", Subjects: []string{"factro.command.acme.>", "factro.redrive.acme.>"}, MaxMsgs: 100_000,
			Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, AllowMsgTTL: true, MaxBytes: 128 << 20,
		},
		{Name: "FACTRO_RESULTS_ACME", Subjects: []string{"factro.result.acme.>"}, MaxAge: 7 * 24 * time.Hour, MaxMsgs: -1, MaxBytes: 256 << 20},
		{
			Name: "FACTRO_DEAD_ACME", Subjects: []string{"factro.dead.command.acme.>", "factro.dead.webhook.acme"}, MaxAge: 90 * 24 * time.Hour, MaxMsgs: -1,
			MaxBytes: 256 << 20,
		},
	} {
		have := out.stream(want.Name).CachedInfo().Config
		if !slices.Equal(have.Subjects, want.Subjects) || have.Retention != want.Retention || have.Discard != want.Discard ||
			have.MaxAge != want.MaxAge || have.MaxMsgs != want.MaxMsgs || have.AllowMsgTTL != want.AllowMsgTTL || have.MaxBytes != want.MaxBytes ||
			have.Storage != jetstream.FileStorage || have.Replicas != 1 || have.Duplicates != 10*time.Minute || !have.AllowDirect {
			t.Errorf("%s is\n%+v, want\n%+v", want.Name, have, want)
		}
	}
	ledger, err := out.js.KeyValue(t.Context(), "FACTRO_LEDGER_ACME")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := ledger.Status(t.Context()); err != nil || s.TTL() != 7*24*time.Hour || s.History() != 1 {
		t.Errorf("the ledger keeps entries for %s, %d of each: %v", s.TTL(), s.History(), err)
	}
}

func TestConsumerConfig(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet()))
	if _, err := CommandConsumer(t.Context(), b, "acme"); err != nil {
		t.Fatal(err)
	}
	have := server.outside(t).consumer().Config
	if have.Durable != "egress-acme" || !slices.Equal(have.FilterSubjects, []string{"factro.command.acme.>", "factro.redrive.acme.>"}) || have.AckPolicy != jetstream.AckExplicitPolicy ||
		have.AckWait != 5*time.Minute || have.MaxAckPending != -1 || have.MaxDeliver != -1 || have.DeliverPolicy != jetstream.DeliverAllPolicy {
		t.Errorf("the consumer is %+v", have)
	}
}

// TestDrift: what an operator made differently stays as it is, and is logged once however often it is checked.
func TestDrift(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	out := server.outside(t)
	if _, err := out.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "FACTRO_COMMANDS_ACME", Subjects: []string{"factro.command.>"}, Storage: jetstream.MemoryStorage, MaxMsgs: 7, NoAck: true,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := out.js.CreateConsumer(t.Context(), "FACTRO_COMMANDS_ACME", jetstream.ConsumerConfig{
		Durable: "egress-acme", FilterSubject: "factro.command.acme.>", AckPolicy: jetstream.AckExplicitPolicy,
		MaxAckPending: 9, AckWait: time.Minute, MaxDeliver: 3,
	}); err != nil {
		t.Fatal(err)
	}
	before := out.stream("FACTRO_COMMANDS_ACME").CachedInfo().Config

	log, book := newLog()
	b := server.connect(t, log)
	for range 3 {
		b.streams.Check(t.Context())
		if err := b.Health().OfCloud("acme").Broker; err != nil {
			t.Fatal(err)
		}
		if _, err := CommandConsumer(t.Context(), b, "acme"); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"stream differs", "consumer differs"} {
		if n := book.count(text); n != 1 {
			t.Errorf("%q was logged %d times, want once:\n%s", text, n, book)
		}
	}
	for _, field := range []string{
		"retention is Limits, want WorkQueue", "discard is DiscardOld, want DiscardNew", "storage is Memory, want File",
		"duplicate window", "message TTL", "max_bytes is unlimited, want a limit", "no_ack is true, want false", "ack wait is 1m0s, want 5m0s", "max ack pending is 9, want -1", "max deliver is 3, want -1",
	} {
		if book.count(field) != 1 {
			t.Errorf("the log does not say %q:\n%s", field, book)
		}
	}
	if strings.Contains(book.String(), "max msgs") {
		t.Error("sizes are the operator's, and are no drift")
	}
	after := out.stream("FACTRO_COMMANDS_ACME").CachedInfo().Config
	if after.Storage != before.Storage || after.MaxMsgs != before.MaxMsgs || after.Retention != before.Retention {
		t.Errorf("the stream was changed to %+v", after)
	}
	if have := out.consumer().Config; have.MaxAckPending != 9 || have.AckWait != time.Minute {
		t.Errorf("the consumer was changed to %+v", have)
	}
}

func TestUnmanaged(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	b := run(t, server.connect(t, quiet(), func(c *Config) { c.Manage = false }))
	out := server.outside(t)
	if _, err := CommandConsumer(t.Context(), b, "acme"); err == nil {
		t.Error("there is no consumer, and none may be made")
	}
	for name := range out.js.StreamNames(t.Context()).Name() {
		t.Errorf("stream %s was created", name)
	}
}

// TestStreamGone: a stream that somebody deletes while all is well is made again, without a reconnect.
func TestStreamGone(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	run(t, server.connect(t, quiet()))
	out := server.outside(t)
	for _, name := range []string{"FACTRO_DEAD_ACME", "KV_FACTRO_LEDGER_ACME"} {
		if err := out.js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+" is back", func() bool {
			_, err := out.js.Stream(t.Context(), name)
			return err == nil
		})
	}
}

// TestReadyTellsTheTruth: a stream is gone and cannot be made.
func TestReadyTellsTheTruth(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	log, book := newLog()
	first := server.connect(t, quiet())
	stop := start(t, first.Run)
	ready(t, first)
	stop()

	out := server.outside(t)
	if err := out.js.DeleteStream(t.Context(), "FACTRO_DEAD_ACME"); err != nil {
		t.Fatal(err)
	}
	if _, err := out.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"factro.dead.command.>"}}); err != nil {
		t.Fatal(err)
	}
	b := server.connect(t, log)
	start(t, b.Run)
	eventually(t, "readiness names the stream", func() bool {
		err := b.Health().Ready()
		return err != nil && strings.Contains(err.Error(), "FACTRO_DEAD_ACME")
	})
	if err := out.js.DeleteStream(t.Context(), "OTHER"); err != nil {
		t.Fatal(err)
	}
	ready(t, b)
	if n := book.count("streams are not ready"); n != 1 {
		t.Errorf("the same failure was logged %d times:\n%s", n, book)
	}
}

func TestConnectRefusesMistakes(t *testing.T) {
	t.Parallel()
	_, err := Connect(Config{CredsFile: "a", NkeyFile: "b", Prefix: "Fac.tro", TLS: TLS{CertFile: "x"}}, quiet())
	if err == nil {
		t.Fatal("a configuration full of mistakes is accepted")
	}
	for _, want := range []string{"nats.url", "creds_file", "nats.tls", "nats.prefix", "nats.replicas", "shutdown_timeout"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not reported: %v", want, err)
		}
	}
	if _, err := Connect(Config{URL: "nats://127.0.0.1:1", NkeyFile: "/nonexistent", Prefix: "factro", Replicas: 1, DrainTimeout: time.Second}, quiet()); err == nil {
		t.Error("a missing nkey file is accepted")
	}
}

func TestWaitReadyGivesUp(t *testing.T) {
	t.Parallel()
	b := newBroker(t).connect(t, quiet())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := waitReady(ctx, b); err == nil || !strings.Contains(err.Error(), "not connected") {
		t.Errorf("got %v", err)
	}
}

func TestDuplicateWindow(t *testing.T) {
	t.Parallel()
	server := startBroker(t)
	log, book := newLog()
	b := run(t, server.connect(t, log, func(c *Config) { c.DuplicateWindow = 15 * time.Second }))
	ready(t, b)
	out := server.outside(t)
	for _, name := range []string{"FACTRO_EVENTS_ACME", "FACTRO_COMMANDS_ACME", "FACTRO_RESULTS_ACME", "FACTRO_DEAD_ACME"} {
		if have := out.stream(name).CachedInfo().Config.Duplicates; have != 15*time.Second {
			t.Errorf("%s has a window of %s", name, have)
		}
	}
	if b.Window("acme") != 15*time.Second || book.count("differs from the contract") != 0 {
		t.Errorf("the window is %s; the log says %s", b.Window("acme"), book)
	}
	later := run(t, server.connect(t, log)) // which wants ten minutes
	ready(t, later)
	if book.count("duplicate window is 15s, want 10m0s") == 0 {
		t.Errorf("the log says %s", book)
	}
	eventually(t, "the shorter window is known", func() bool { return later.Window("acme") == 15*time.Second })
	for _, wrong := range []time.Duration{time.Second, 25 * time.Hour, -time.Minute} {
		cfg := server.config()
		cfg.DuplicateWindow = wrong
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "nats.duplicate_window") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// TestOtherStreamFirst: a stream that has our subjects before ours is made is named as well.
func TestOtherStreamFirst(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	out := broker.outside(t)
	if _, err := out.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVERYTHING", Subjects: []string{"factro.event.>"}}); err != nil {
		t.Fatal(err)
	}
	b := broker.connect(t, quiet())
	start(t, b.Run)
	unready(t, b, "the stream EVERYTHING has factro.event.acme.>")
	if text := differences(t, broker); !strings.Contains(text, "it is missing; the stream EVERYTHING has") {
		t.Errorf("the differences are %s", text)
	}
	if err := out.js.DeleteStream(t.Context(), "EVERYTHING"); err != nil {
		t.Fatal(err)
	}
	ready(t, b)
	if text := differences(t, broker); strings.Contains(text, "FACTRO_EVENTS_ACME") {
		t.Errorf("the differences are %s", text)
	}
}

// TestNoAck: a stream that acknowledges nothing makes the bridge unready, and is a difference.
func TestNoAck(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	b := run(t, broker.connect(t, quiet()))
	out := broker.outside(t)
	cfg := out.stream("FACTRO_EVENTS_ACME").CachedInfo().Config
	cfg.NoAck, cfg.Duplicates = true, 1e9
	if _, err := out.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	unready(t, b, "no_ack")
	for _, want := range []string{"no_ack is true", "duplicate window is 1s"} {
		if text := differences(t, broker); !strings.Contains(text, want) {
			t.Errorf("the differences are %s, want %s", text, want)
		}
	}
}

// differences are those that the command line lists, a line each.
func differences(t testing.TB, b *broker) (text string) {
	t.Helper()
	c, err := DialClient(b.config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	found, err := Differences(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found {
		text += d.Stream + " " + d.What + "\n"
	}
	return text
}
