package bus

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
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
				broker := startBroker(t, func(o *server.Options) { o.JetStreamMaxStore = c.room })
				out := broker.outside(t)
				if left {
					out.probe("factro.room.LEFT", c.room/2)
				}
				log, book := newLog()
				var both []*Conn
				for range 2 {
					b := broker.connect(t, log, clouds("acme", "beta"))
					start(t, b.Run)
					both = append(both, b)
				}
				for _, b := range both { // what was left is not stale before probeStale
					eventually(t, "a bridge is ready", func() bool { return b.Ready() == nil })
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
				if n := book.count(`"level":"WARN"`); n != 1 || book.count("NATS has little room") != 1 {
					t.Errorf("%d warnings:\n%s", n, book)
				}
			})
		}
	}
}

// TestProbeHeld: as long as another bridge shares out the room, nothing is made, and its probe stays.
func TestProbeHeld(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	out := broker.outside(t)
	out.probe("factro.room.OTHER", 1<<20)
	looks, err := out.nc.SubscribeSync("$JS.API.STREAM.INFO.FACTRO_ROOM")
	if err != nil {
		t.Fatal(err)
	}
	b := broker.connect(t, quiet())
	b.probeHeld, b.lookEvery = time.Hour, time.Hour // it is released as soon as all is made
	start(t, b.Run)
	for range 5 {
		if _, err := looks.NextMsg(patience); err != nil {
			t.Fatal(err)
		}
	}
	for name := range out.js.StreamNames(t.Context()).Name() {
		if name != "FACTRO_ROOM" {
			t.Errorf("%s was made meanwhile", name)
		}
	}
	if err := out.js.DeleteStream(t.Context(), "FACTRO_ROOM"); err != nil {
		t.Fatalf("the other bridge's probe: %v", err)
	}
	ready(t, b)
	out.noProbe()
}

// TestStaleProbe: what a bridge left that is gone is deleted by the next one that starts, although nothing is missing, and
// also if an older version made it. A probe that may be in use stays.
func TestStaleProbe(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"factro.room.LEFT", "FACTRO_ROOM"} {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			broker := startBroker(t)
			out := broker.outside(t)
			stop := start(t, broker.connect(t, quiet()).Run)
			out.bytes("OBJ_FACTRO_ORIGINALS_ACME")
			out.noProbe()
			stop()
			out.probe(subject, 1<<30)
			early := run(t, broker.connect(t, quiet()))
			if !early.isProbed(t.Context()) {
				t.Error("a probe that may be in use counts as stale")
			}
			if have := out.bytes("FACTRO_ROOM"); have != 1<<30 {
				t.Errorf("it has %d bytes", have)
			}
			log, book := newLog()
			next := broker.connect(t, log)
			next.probeStale, next.lookEvery = 300*time.Millisecond, 50*time.Millisecond
			run(t, next)
			out.noProbe()
			eventually(t, "it is told", func() bool { return book.count("deleted what measured the room") == 1 })
		})
	}
}

// TestProbeTakenOver: of those who find a probe stale one takes it over, and who was late leaves the one that came after it.
func TestProbeTakenOver(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	out := broker.outside(t)
	x, y := broker.connect(t, quiet()), broker.connect(t, quiet())
	out.probe("factro.room.LEFT", 1<<20)
	if first, second := x.takeProbe(t.Context(), "factro.room.LEFT", 0), y.takeProbe(t.Context(), "factro.room.LEFT", 0); !first || second {
		t.Errorf("taken over: by the first %t, by the second %t", first, second)
	}
	y.probeStale = 0 // both have seen that it is stale
	if err := out.js.DeleteStream(t.Context(), "FACTRO_ROOM"); err != nil {
		t.Fatal(err)
	}
	if bytes, taken := x.reserve(t.Context(), 8<<20); bytes != 8<<20 || taken {
		t.Fatalf("reserved %d bytes, taken: %t", bytes, taken)
	}
	if y.takeProbe(t.Context(), "factro.room.LEFT", 0) {
		t.Error("the probe of another bridge was taken over for a stale one")
	}
	y.probeStale = probeStale
	if _, taken := y.reserve(t.Context(), 8<<20); !taken || !y.isProbed(t.Context()) {
		t.Error("two bridges have the probe")
	}
	y.releaseProbe(t.Context())
	if out.bytes("FACTRO_ROOM") != 8<<20 {
		t.Error("a bridge deleted the probe of another one")
	}
	x.releaseProbe(t.Context())
	out.noProbe()
}

// TestProbeKeptTooLong: a bridge for which it takes too long to make what is missing gives the probe back.
func TestProbeKeptTooLong(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	b := broker.connect(t, quiet())
	b.probeHeld = 100 * time.Millisecond
	if _, taken := b.reserve(t.Context(), 8<<20); taken {
		t.Fatal("somebody has the probe")
	}
	broker.outside(t).noProbe()
}

// TestProbeInTheWay: a stream of somebody else's that has the name of the probe is left alone, and streams are made all the
// same.
func TestProbeInTheWay(t *testing.T) {
	t.Parallel()
	broker := startBroker(t)
	out := broker.outside(t)
	out.probe("other.room", 1<<20)
	log, book := newLog()
	b := broker.connect(t, log)
	b.probeStale = 0
	run(t, b)
	if out.bytes("FACTRO_ROOM") != 1<<20 || book.count("none of the bridge's") != 1 {
		t.Errorf("it is not told, or not once:\n%s", book)
	}
}

// probe makes a stream as a bridge does to measure the room.
func (o outside) probe(subject string, bytes int64) {
	o.t.Helper()
	if _, err := o.js.CreateStream(o.t.Context(), jetstream.StreamConfig{Name: "FACTRO_ROOM", Subjects: []string{subject}, MaxBytes: bytes}); err != nil {
		o.t.Fatal(err)
	}
}

func (o outside) noProbe() {
	o.t.Helper()
	eventually(o.t, "no probe is left", func() bool { _, err := o.js.Stream(o.t.Context(), "FACTRO_ROOM"); return err != nil })
}

// bytes is what a stream may hold, once it is there.
func (o outside) bytes(name string) int64 {
	o.t.Helper()
	eventually(o.t, name+" is there", func() bool { _, err := o.js.Stream(o.t.Context(), name); return err == nil })
	return o.stream(name).CachedInfo().Config.MaxBytes
}
