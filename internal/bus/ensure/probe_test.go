package ensure_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/bus/ensure"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// TestRoomOfTwoClouds: two bridges start at once in a small store. Each kind gets the same share in both clouds, whoever
// makes it, the bridges tell it once, and no probe is left.
func TestRoomOfTwoClouds(t *testing.T) {
	t.Parallel()
	type share struct {
		room   int64
		events int64
	}
	for _, c := range []share{{1 << 30, 128 << 20}, {256 << 20, 32 << 20}} {
		for round := range 6 {
			left := round == 0 // by a bridge that died while it measured
			t.Run(fmt.Sprintf("%dMiB,left=%t", c.room>>20, left), func(t *testing.T) {
				t.Parallel()
				broker := natstest.Start(t, func(o *server.Options) { o.JetStreamMaxStore = c.room })
				out := outside{bustest.Connected(t, broker), t}
				if left {
					out.probe("factro.room.LEFT", c.room/2)
				}
				log, book := bustest.NewLog()
				var both []*bus.Conn
				for range 2 {
					b := bustest.Connect(t, broker, log, bustest.Clouds("acme", "beta"))
					bustest.Start(t, b.Run)
					both = append(both, b)
				}
				for _, b := range both { // what was left is not stale before probeStale
					natstest.Eventually(t, "a bridge is ready", func() bool { return b.Health().Ready() == nil })
				}
				for _, kind := range []string{
					"FACTRO_EVENTS_", "FACTRO_RESULTS_", "FACTRO_DEAD_", "FACTRO_COMMANDS_", "KV_FACTRO_LEDGER_",
					"OBJ_FACTRO_FILES_", "OBJ_FACTRO_ANSWERS_", "OBJ_FACTRO_ORIGINALS_",
				} {
					acme, beta := out.bytes(kind+"ACME"), out.bytes(kind+"BETA")
					if acme != beta {
						t.Errorf("%s has %d bytes of acme and %d of beta", kind, acme, beta)
					}
					if kind == "FACTRO_EVENTS_" && acme != c.events {
						t.Errorf("%s has %d bytes, want %d", kind, acme, c.events)
					}
				}
				out.noProbe()
				if n := book.Count(`"level":"WARN"`); n != 1 || book.Count("NATS has little room") != 1 {
					t.Errorf("%d warnings:\n%s", n, book)
				}
			})
		}
	}
}

// TestProbeHeld: as long as another bridge shares out the room, nothing is made, and its probe stays.
func TestProbeHeld(t *testing.T) {
	t.Parallel()
	broker := natstest.Start(t)
	out := outside{bustest.Connected(t, broker), t}
	out.probe("factro.room.OTHER", 1<<20)
	looks, err := out.NC.SubscribeSync("$JS.API.STREAM.INFO.FACTRO_ROOM")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := connect(t, broker, bustest.Quiet(), time.Hour, time.Hour, 15*time.Second) // it is released as soon as all is made
	bustest.Start(t, b.Run)
	for range 5 {
		if _, err := looks.NextMsg(natstest.Patience); err != nil {
			t.Fatal(err)
		}
	}
	for name := range out.JS.StreamNames(t.Context()).Name() {
		if name != "FACTRO_ROOM" {
			t.Errorf("%s was made meanwhile", name)
		}
	}
	if err := out.JS.DeleteStream(t.Context(), "FACTRO_ROOM"); err != nil {
		t.Fatalf("the other bridge's probe: %v", err)
	}
	bustest.Ready(t, b)
	out.noProbe()
}

// TestStaleProbe: what a bridge left that is gone is deleted by the next one that starts, although nothing is missing, and
// also if an older version made it. A probe that may be in use stays.
func TestStaleProbe(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"factro.room.LEFT", "FACTRO_ROOM"} {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			broker := natstest.Start(t)
			out := outside{bustest.Connected(t, broker), t}
			stop := bustest.Start(t, bustest.Connect(t, broker, bustest.Quiet()).Run)
			out.bytes("OBJ_FACTRO_ORIGINALS_ACME")
			out.noProbe()
			stop()
			out.probe(subject, 1<<30)
			early, streams := connect(t, broker, bustest.Quiet(), 50*time.Millisecond, 10*time.Second, 15*time.Second)
			bustest.Run(t, early)
			if !ensure.IsProbed(t.Context(), streams) {
				t.Error("a probe that may be in use counts as stale")
			}
			if have := out.bytes("FACTRO_ROOM"); have != 1<<30 {
				t.Errorf("it has %d bytes", have)
			}
			log, book := bustest.NewLog()
			next, _ := connect(t, broker, log, 50*time.Millisecond, 10*time.Second, 300*time.Millisecond)
			bustest.Run(t, next)
			out.noProbe()
			natstest.Eventually(t, "it is logged", func() bool { return book.Count("deleted what measured the room") == 1 })
		})
	}
}

// TestProbeTakenOver: of those who find a probe stale one takes it over, and who was late leaves the one that came after it.
func TestProbeTakenOver(t *testing.T) {
	t.Parallel()
	broker := natstest.Start(t)
	out := outside{bustest.Connected(t, broker), t}
	_, x := connect(t, broker, bustest.Quiet(), time.Hour, time.Minute, 15*time.Second)
	second, y := connect(t, broker, bustest.Quiet(), time.Hour, time.Minute, 15*time.Second)
	late := ensure.New(second, bustest.Quiet(), ensure.WithProbe(10*time.Second, 0)) // has seen that it is stale
	out.probe("factro.room.LEFT", 1<<20)
	if one, two := ensure.TakeProbe(t.Context(), x, "factro.room.LEFT", 0), ensure.TakeProbe(t.Context(), y, "factro.room.LEFT", 0); !one || two {
		t.Errorf("taken over: by the first %t, by the second %t", one, two)
	}
	if err := out.JS.DeleteStream(t.Context(), "FACTRO_ROOM"); err != nil {
		t.Fatal(err)
	}
	if bytes, taken := ensure.Reserve(t.Context(), x, 8<<20); bytes != 8<<20 || taken {
		t.Fatalf("reserved %d bytes, taken: %t", bytes, taken)
	}
	if ensure.TakeProbe(t.Context(), late, "factro.room.LEFT", 0) {
		t.Error("the probe of another bridge was taken over for a stale one")
	}
	if _, taken := ensure.Reserve(t.Context(), y, 8<<20); !taken || !ensure.IsProbed(t.Context(), y) {
		t.Error("two bridges have the probe")
	}
	ensure.ReleaseProbe(t.Context(), y)
	if out.bytes("FACTRO_ROOM") != 8<<20 {
		t.Error("a bridge deleted the probe of another one")
	}
	ensure.ReleaseProbe(t.Context(), x)
	out.noProbe()
}

// TestProbeKeptTooLong: a bridge for which it takes too long to make what is missing gives the probe back.
func TestProbeKeptTooLong(t *testing.T) {
	t.Parallel()
	broker := natstest.Start(t)
	_, b := connect(t, broker, bustest.Quiet(), time.Hour, 100*time.Millisecond, 15*time.Second)
	if _, taken := ensure.Reserve(t.Context(), b, 8<<20); taken {
		t.Fatal("somebody has the probe")
	}
	outside{bustest.Connected(t, broker), t}.noProbe()
}

// TestProbeNameTaken: a stream of somebody else's that has the name of the probe is left alone, and streams are made all the
// same.
func TestProbeNameTaken(t *testing.T) {
	t.Parallel()
	broker := natstest.Start(t)
	out := outside{bustest.Connected(t, broker), t}
	out.probe("other.room", 1<<20)
	log, book := bustest.NewLog()
	b, _ := connect(t, broker, log, 50*time.Millisecond, 10*time.Second, 0)
	bustest.Run(t, b)
	if out.bytes("FACTRO_ROOM") != 1<<20 || book.Count("none of the bridge's") != 1 {
		t.Errorf("it is not told, or not once:\n%s", book)
	}
}

// outside is what others see of a server.
type outside struct {
	bustest.Outside
	t testing.TB
}

// connect returns a connection, and what makes its streams.
func connect(t testing.TB, s *natstest.Server, log *slog.Logger, every, held, stale time.Duration) (b *bus.Conn, e *ensure.Ensurer) {
	t.Helper()
	b, err := bus.Connect(bustest.Config(s), log, bus.WithTiming(bus.Timing{CheckEvery: every, CheckTimeout: 2 * time.Second}),
		bus.WithStreams(func(b *bus.Conn) bus.Streams {
			e = ensure.New(b, log, ensure.WithProbe(held, stale))
			return e
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b, e
}

// probe makes a stream as a bridge does to measure the room.
func (o outside) probe(subject string, bytes int64) {
	o.t.Helper()
	if _, err := o.JS.CreateStream(o.t.Context(), jetstream.StreamConfig{Name: "FACTRO_ROOM", Subjects: []string{subject}, MaxBytes: bytes}); err != nil {
		o.t.Fatal(err)
	}
}

func (o outside) noProbe() {
	o.t.Helper()
	natstest.Eventually(o.t, "no probe is left", func() bool { _, err := o.JS.Stream(o.t.Context(), "FACTRO_ROOM"); return err != nil })
}

// bytes is what a stream may hold, once it is there.
func (o outside) bytes(name string) int64 {
	o.t.Helper()
	natstest.Eventually(o.t, name+" is there", func() bool { _, err := o.JS.Stream(o.t.Context(), name); return err == nil })
	return o.Stream(name).CachedInfo().Config.MaxBytes
}
