package ensure_test

import (
	"slices"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/ensure"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// TestMirrorStreams: they are made, also again, in a process that mirrors. The client library takes the state for a bucket.
func TestMirrorStreams(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	bustest.Running(t, srv, mirrors)
	o, p := bustest.Connected(t, srv), events.Prefix("factro")
	for range 2 {
		for name, most := range map[string]int64{
			"KV_" + change.Bucket(p, "acme"): topology.DefaultSizes().State, change.Stream(p, "acme"): topology.DefaultSizes().Changes,
		} {
			natstest.Eventually(t, "there is "+name, func() bool { _, err := o.JS.Stream(t.Context(), name); return err == nil })
			if cfg := o.Stream(name).CachedInfo().Config; cfg.MaxBytes != most {
				t.Errorf("%s holds %d bytes, want %d", name, cfg.MaxBytes, most)
			}
		}
		state, err := o.JS.KeyValue(t.Context(), change.Bucket(p, "acme"))
		if err != nil {
			t.Fatal(err)
		}
		key := change.Key("acme", "task", "4711")
		if _, err := state.Create(t.Context(), key, []byte("{}")); err != nil {
			t.Error(err)
		}
		if ack, err := o.JS.Publish(t.Context(), change.Subject(p, "acme", "task", "4711", change.Created), []byte("{}")); err != nil || ack.Stream != change.Stream(p, "acme") {
			t.Errorf("a change went to %+v: %v", ack, err)
		}
		for _, name := range []string{"KV_" + change.Bucket(p, "acme"), change.Stream(p, "acme")} {
			if err := o.JS.DeleteStream(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestNoMirror: a process without the role makes nothing for it, and misses nothing.
func TestNoMirror(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	bustest.Running(t, srv)
	o := bustest.Connected(t, srv)
	natstest.Eventually(t, "the last of the optional ones is there", func() bool { _, err := o.JS.KeyValue(t.Context(), "FACTRO_CONTROL"); return err == nil })
	for name := range o.JS.StreamNames(t.Context()).Name() {
		if ofMirror(name) {
			t.Errorf("there is %s", name)
		}
	}
	for _, role := range []bool{false, true} {
		client := bustest.Dial(t, srv, func(c *bus.Config) { *c, c.Mirrors = bustest.Config(srv), role })
		found, err := ensure.Differences(t.Context(), client, nil)
		missing := slices.DeleteFunc(found, func(d ensure.Difference) bool { return !ofMirror(d.Stream) })
		if err != nil || role && len(missing) != 2 || !role && len(missing) != 0 {
			t.Errorf("with the role %t the differences are %v, %v", role, found, err)
		}
	}
}

func ofMirror(stream string) bool {
	return stream == "KV_FACTRO_STATE_ACME" || stream == "FACTRO_CHANGES_ACME"
}

// TestMirrorNoRights: without the right to make the streams of the mirror all other work goes on.
func TestMirrorNoRights(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t, bustest.Users(bustest.Denied("$JS.API.STREAM.*.KV_FACTRO_STATE_ACME", "")))
	log, book := bustest.NewLog()
	b := bustest.Run(t, bustest.Connect(t, srv, log, bustest.AsBridge, mirrors))
	natstest.Receive(t, b.StreamsReady("acme"))
	o := bustest.Connected(t, srv)
	natstest.Eventually(t, "the other one is there", func() bool { _, err := o.JS.Stream(t.Context(), "FACTRO_CHANGES_ACME"); return err == nil })
	natstest.Eventually(t, "it is logged", func() bool { return book.Count("stream of the mirror is not as it should be") == 1 })
	if err := b.Health().Ready(); err != nil {
		t.Error(err)
	}
}

// TestMirrorNoRoom: it takes the room that there is, as all others.
func TestMirrorNoRoom(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t, func(o *server.Options) { o.JetStreamMaxStore = 512 << 20 })
	bustest.Running(t, srv, mirrors)
	o := bustest.Connected(t, srv)
	for _, name := range []string{"FACTRO_EVENTS_ACME", "KV_FACTRO_STATE_ACME", "FACTRO_CHANGES_ACME"} {
		var have jetstream.StreamConfig
		natstest.Eventually(t, "there is "+name, func() bool {
			s, err := o.JS.Stream(t.Context(), name)
			if err == nil {
				have = s.CachedInfo().Config
			}
			return err == nil
		})
		if have.MaxBytes < 16<<20 || have.MaxBytes > 128<<20 {
			t.Errorf("%s has %d bytes", name, have.MaxBytes)
		}
	}
}

func mirrors(c *bus.Config) { c.Mirrors = true }
