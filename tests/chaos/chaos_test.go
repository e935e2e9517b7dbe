package chaos

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/tests/process"
)

// fault is a row: what happens to the world while it is under load.
type fault struct {
	name        string
	short, long int // how often it strikes
	set         setting
	// strike lets it happen so often and returns when it is over; the load goes on meanwhile.
	strike func(w *world, times int)
}

// killed ends a process at a random time under load, and starts it again at once.
func killed(which func(w *world) *process.Process, start func(w *world) error) func(*world, int) {
	return func(w *world, times int) {
		for range times {
			w.pause(w.between(100*time.Millisecond, 1500*time.Millisecond))
			w.disturb(func() { which(w).Kill() }, w.between(0, 300*time.Millisecond), func() error { return start(w) })
		}
	}
}

// disturbed treats a link badly for a while.
func disturbed(which func(w *world) *proxy, how link, least, most time.Duration) func(*world, int) {
	return func(w *world, times int) {
		for range times {
			w.pause(w.between(200*time.Millisecond, time.Second))
			p := which(w)
			w.disturb(func() { p.set(how) }, w.between(least, most), func() error { p.set(link{}); return nil })
		}
	}
}

func broker(w *world) *proxy     { return w.broker }
func core(w *world) *proxy       { return w.core }
func firstInlet(w *world) *proxy { return w.inlets[0] }

var faults = []fault{
	{name: "none", short: 1, long: 1, set: setting{spool: true}, strike: func(w *world, _ int) { w.pause(2 * time.Second) }},
	{
		name: "bridge killed", short: 6, long: 200, set: setting{spool: true},
		strike: killed(func(w *world) *process.Process { return w.bridges[0].Process }, func(w *world) error { return w.bridges[0].start() }),
	},
	{
		name: "NATS killed", short: 4, long: 50, set: setting{spool: true},
		strike: killed(func(w *world) *process.Process { return w.nats }, (*world).startNATS),
	},
	{
		name: "factro killed", short: 4, long: 50,
		strike: killed(func(w *world) *process.Process { return w.sim }, (*world).startSim),
	},
	{
		name: "link bridge to NATS cut", short: 3, long: 50, set: setting{spool: true},
		strike: disturbed(broker, link{cut: true}, 300*time.Millisecond, 2*time.Second),
	},
	{
		name: "link bridge to factro cut", short: 3, long: 50,
		strike: disturbed(core, link{cut: true}, 300*time.Millisecond, 2*time.Second),
	},
	{
		name: "link sender to bridge cut", short: 3, long: 50,
		strike: disturbed(firstInlet, link{cut: true}, 300*time.Millisecond, 2*time.Second),
	},
	{
		name: "link bridge to NATS half-open", short: 1, long: 10, set: setting{spool: true},
		strike: disturbed(broker, link{swallow: true}, 2*time.Second, 4*time.Second),
	},
	{
		name: "link bridge to factro half-open", short: 1, long: 10,
		strike: disturbed(core, link{swallow: true}, 2*time.Second, 4*time.Second),
	},
	{
		name: "link bridge to NATS slow", short: 1, long: 10, set: setting{spool: true},
		strike: disturbed(broker, link{bytesPerS: 4000, delay: 20 * time.Millisecond}, 2*time.Second, 4*time.Second),
	},
	{
		name: "link bridge to factro slow", short: 1, long: 10,
		strike: disturbed(core, link{bytesPerS: 2000, delay: 20 * time.Millisecond}, 2*time.Second, 4*time.Second),
	},
	{
		name: "one of two bridges killed", short: 4, long: 100, set: setting{bridges: 2, spool: true},
		strike: func(w *world, times int) {
			for range times {
				w.pause(w.between(100*time.Millisecond, 1500*time.Millisecond))
				n := w.bridges[w.rng.IntN(2)]
				w.disturb(n.Kill, w.between(0, time.Second), func() error { return n.start() })
			}
		},
	},
}

// TestUnderLoad lets each fault strike while webhooks, creates and updates flow.
func TestUnderLoad(t *testing.T) {
	t.Parallel()
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w, times := begin(t, f.set, f.short, f.long)
			stop, halt := w.hooks.start(100, 0), w.commands.start(10, 0, true)
			f.strike(w, times)
			w.pause(w.between(200*time.Millisecond, time.Second))
			stop()
			halt()
			w.finish(f.name, i, times)
		})
	}
}

// begin builds the world of a row.
func begin(t *testing.T, set setting, short, forLong int) (w *world, times int) {
	t.Helper()
	switch *form {
	case "":
		t.Skip("the chaos suite runs with -chaos=short or -chaos=long; make chaos and make chaos-long do it")
	case "short":
		times = short
	case "long":
		times = forLong
		set.bound = 30 * time.Minute
	default:
		t.Fatalf("-chaos=%s: want short or long", *form)
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(t.Name())) // a hash takes everything
	return newWorld(t, rand.New(rand.NewPCG(*seed, h.Sum64())), set), times
}

// finish waits for the end, and writes the row.
func (w *world) finish(name string, order, runs int) {
	w.t.Helper()
	w.settle()
	r := w.account(name, runs)
	r.order = order
	table.add(r)
	if r.failed {
		w.t.Logf("again: go test ./tests/chaos -chaos=%s -seed=%d -run %q", *form, *seed, w.t.Name())
	} else {
		w.t.Log(fmt.Sprint("even: ", r.webhooks, " webhooks, ", r.commands, " commands"))
	}
}
