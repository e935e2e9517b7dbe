package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// TestNoRoomAtAll: where not even the least of a stream fits, the error says which, how much, and what to change.
func TestNoRoomAtAll(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, func(o *server.Options) { o.JetStreamMaxStore = 2 << 20 })
	b := broker.connect(t, quiet())
	start(t, b.Run)
	for _, text := range []string{"FACTRO_", "4194304 bytes", "nats.max_bytes."} {
		unready(t, b, text)
	}
}

// TestLittleRoom: where there is too little room, all clouds get some, each kind its share.
func TestLittleRoom(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, func(o *server.Options) { o.JetStreamMaxStore = 1 << 30 })
	log, book := newLog()
	run(t, broker.connect(t, log, clouds("acme", "beta", "gamma")))
	out := broker.outside(t)
	for _, cloud := range []string{"ACME", "BETA", "GAMMA"} {
		for name, want := range map[string][2]int64{"FACTRO_EVENTS_": {32 << 20, 512 << 20}, "FACTRO_RESULTS_": {8 << 20, 128 << 20}, "OBJ_FACTRO_FILES_": {32 << 20, 512 << 20}} {
			eventually(t, name+cloud+" is there", func() bool { _, err := out.js.Stream(t.Context(), name+cloud); return err == nil })
			if have := out.stream(name + cloud).CachedInfo().Config.MaxBytes; have < want[0] || have > want[1] {
				t.Errorf("%s has %d bytes, want some of %v", name+cloud, have, want)
			}
		}
	}
	out.noProbe()
	wantedByCloud := topology.Advisories.Size(topology.Sizes{}) + topology.Bridge.Size(topology.Sizes{}) // of all that a cloud has, and of the buckets that all of them share
	for _, most := range []int64{
		topology.DefaultSizes().Events, topology.DefaultSizes().Commands, topology.DefaultSizes().Results, topology.DefaultSizes().Dead, topology.DefaultSizes().Ledger, topology.DefaultSizes().Files,
		topology.DefaultSizes().Answers, topology.DefaultSizes().Originals, topology.DefaultSizes().Delayed, topology.DefaultSizes().Keys,
	} {
		wantedByCloud += most
	}
	// One share for all of them, so one line says it.
	if n := book.count(`"level":"WARN"`); n != 1 || book.count("NATS has little room") != 1 || book.count(`"share":0.0625`) != 1 ||
		book.count(fmt.Sprintf(`"wanted":%d`, 3*wantedByCloud+topology.Reconcile.Size(topology.Sizes{})+topology.Control.Size(topology.Sizes{}))) != 1 {
		t.Errorf("it is logged %d times:\n%s", n, book)
	}
}

// TestOneCloudsTrouble: what is wrong with the streams of one cloud takes nothing from another.
func TestOneCloudsTrouble(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(outside, jetstream.StreamConfig) error{
		"sealed": func(out outside, cfg jetstream.StreamConfig) error {
			cfg.Sealed = true
			_, err := out.js.UpdateStream(out.t.Context(), cfg)
			return err
		},
		"in the way": func(out outside, cfg jetstream.StreamConfig) error {
			err := out.js.DeleteStream(out.t.Context(), cfg.Name)
			for err == nil { // until it is there before the bridge makes its own again
				_, err = out.js.CreateStream(out.t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"factro.event.acme.>"}})
				if err == nil {
					return nil
				}
				err = out.js.DeleteStream(out.t.Context(), cfg.Name)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := startBroker(t)
			b := run(t, broker.connect(t, quiet(), clouds("acme", "beta")))
			out := broker.outside(t)
			if err := harm(out, out.stream("FACTRO_EVENTS_ACME").CachedInfo().Config); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the log names the stream of acme", func() bool {
				err := b.Health().Troubles()["acme"]
				return err != nil && strings.Contains(err.Error(), "FACTRO_EVENTS_ACME")
			})
			if err := b.Health().Troubles()["beta"]; err != nil {
				t.Errorf("of beta: %v", err)
			}
			if err := b.Health().Ready(); err != nil {
				t.Errorf("not ready, although beta is well: %v", err)
			}
			if err := publisher(t, b).Publish(t.Context(), "factro.event.beta.task.1.TaskStateChanged", taskEvent(t, "1"), "1"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestStoreFull: a stranger's stream without a limit has filled the store of the server. Nothing is taken any more, and
// readiness says so until there is room again; nobody restarts anything.
func TestStoreFull(t *testing.T) {
	t.Parallel()
	broker := startBroker(t, func(o *server.Options) { o.JetStreamMaxStore = 96 << 20 })
	b := run(t, broker.connect(t, quiet(), clouds("acme", "beta")))
	w, got := collector()
	consume(t, b, w)
	out := broker.outside(t)
	storeEvent(t, b, "e-1")
	foreign, err := out.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "FOREIGN", Subjects: []string{"foreign.>"}})
	if err != nil {
		t.Fatal(err)
	}
	for err = nil; err == nil; {
		_, err = out.js.Publish(t.Context(), "foreign.x", make([]byte, 512<<10))
	}
	if natserr.Of(err) != natserr.NoRoom {
		t.Fatalf("the store is not full: %v", err)
	}
	for _, subject := range []string{eventSubject, "factro.event.beta.task.1.TaskStateChanged"} {
		if err := publisher(t, b).Publish(t.Context(), subject, taskEvent(t, "e-2"), "e-2"); natserr.Of(err) != natserr.NoRoom {
			t.Errorf("%s: %v", subject, err)
		}
	}
	unready(t, b, "the last publish to factro.event.acme failed")
	unready(t, b, "insufficient resources")
	if _, err := ledger(b).Begin(t.Context(), "acme", "c"); err == nil {
		t.Error("a command was begun although nobody can write that down")
	}
	for range 5 { // looks find all streams well, and that is not to be believed
		if b.streams.Check(t.Context()); b.Health().Ready() == nil {
			t.Fatal("it is ready, and the store is full")
		}
	}
	if err := foreign.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{eventSubject, "factro.event.beta.task.1.TaskStateChanged"} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		var err error
		for err = errors.New("not yet"); err != nil && ctx.Err() == nil; {
			err = publisher(t, b).Publish(ctx, subject, taskEvent(t, "e-2"), "e-2")
		}
		cancel()
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ledger(b).Begin(t.Context(), "acme", "c"); err != nil {
		t.Error(err)
	}
	out.command("a")
	receive(t, got)
	ready(t, b)
	if n := out.count("FACTRO_EVENTS_ACME"); n != 2 {
		t.Errorf("acme has %d events", n)
	}
}
