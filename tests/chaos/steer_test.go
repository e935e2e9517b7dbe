package chaos

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestStuckKey has many commands of a key that factro answers slowly in front of a hundred of others. Those are not held up, also when
// the bridge that works is killed, and the many are applied in their order.
func TestStuckKey(t *testing.T) {
	t.Parallel()
	t.Run("stuck key", func(t *testing.T) {
		t.Parallel()
		const others = 100
		w, stuck := begin(t, setting{bridges: 2, roles: "egress", sim: []string{"--fault", "latency,op=updateTask,delay=4s"}}, 300, 5000)
		var pile []order
		for n := range stuck {
			pile = append(pile, changes(n).with("stuck"))
		}
		for n := range others {
			pile = append(pile, makes(stuck+n, demoPackage).with(fmt.Sprintf("key-%d", n%10)))
		}
		works, waits := w.active()
		began := time.Now()
		w.commands.pile(pile)
		must(t, await(w.ctx, "a part of the others is done", func() bool { return w.made() > others/4 }))
		w.disturb(works.Kill, 0, func() error { waits.takesOver("killed", time.Now(), 10*time.Second); return works.start() })
		must(t, await(w.ctx, "the others are done", func() bool { return w.made() == others }))
		must(t, w.books.read(w.ctx))
		took, done := time.Since(began), len(w.books.results)-others
		t.Logf("%d others were done after %s, a takeover included, when %d of %d stuck ones were done", others, took.Round(100*time.Millisecond), done, stuck)
		if done > stuck/10 {
			t.Errorf("%d of the stuck ones are done already: they were not stuck", done)
		}
		w.faults("[]")
		w.finish(fmt.Sprintf("stuck key, %d commands in front of %d others", stuck, others), 64, 1)
		w.wantOrder(func(n int) int {
			if n < stuck {
				return -1
			}
			return n % 10
		})
	})
}

// made is how many creates have their results.
func (w *world) made() int {
	if w.books.read(w.ctx) != nil {
		return 0
	}
	return len(w.books.objects)
}

// TestPauseUnderLoad pauses commands while they come and bridges are killed. Both bridges obey within a second, nothing is called
// while it lasts, and nothing is lost or done twice.
func TestPauseUnderLoad(t *testing.T) {
	t.Parallel()
	t.Run("pause during load", func(t *testing.T) {
		t.Parallel()
		set := setting{bridges: 2, roles: "egress", lanes: 10, sim: []string{"--fault", "latency,op=createTask,delay=200ms"}}
		w, times := begin(t, set, 2, 20)
		halt := w.commands.start(20, 0, false)
		for i := range times {
			works, waits := w.active()
			w.steer("pause")
			obeyed := w.obey(1)
			w.pause(500 * time.Millisecond) // what is in flight
			from, sent := time.Now(), w.commands.count()
			w.disturb(func() { []*node{works, waits}[i%2].Kill() }, 0, func() error { return []*node{works, waits}[i%2].start() })
			w.obey(1)
			w.active() // which takes some seconds if the one that worked was killed
			until, waiting := time.Now(), w.commands.count()-sent
			for _, n := range w.bridges {
				for _, e := range n.calls.requests() {
					if e.began.After(from) && e.began.Before(until) {
						t.Errorf("bridge %d made a call although commands are paused", n.n)
					}
				}
			}
			resumed := time.Now()
			w.steer("resume")
			goesOn := w.obey(0)
			must(t, await(w.ctx, "it goes on", func() bool {
				return len(w.bridges[0].calls.between(resumed, time.Now()))+len(w.bridges[1].calls.between(resumed, time.Now())) > 0
			}))
			t.Logf("both obeyed the pause %s after it was stored, for %s, while %d commands came; both went on after %s, the first call came %s after the command",
				obeyed.Round(time.Millisecond), until.Sub(from).Round(time.Millisecond), waiting, goesOn.Round(time.Millisecond), time.Since(resumed).Round(time.Millisecond))
			if waiting == 0 {
				t.Error("no command came meanwhile")
			}
		}
		halt()
		w.finish("pause during load, a bridge killed meanwhile", 65, times)
		w.inOrder()
	})
}

// steer runs pause or resume for commands.
func (w *world) steer(command string) {
	w.t.Helper()
	args := []string{command, "--config", filepath.Join(w.dir, "bridge-0.yaml"), "--cloud", cloud, "--direction", "commands"}
	if command == "pause" {
		args = append(args, "--reason", "chaos")
	}
	if out, err := exec.CommandContext(w.ctx, *bridge, args...).CombinedOutput(); err != nil {
		w.t.Fatalf("bridge %s: %v\n%s", command, err, out)
	}
}

// slow is what a busy machine may add to the second in which bridges obey.
const slow = 500 * time.Millisecond

// obey waits until both bridges have a pause, or none, which has to be within a second, and returns how long it took.
func (w *world) obey(paused float64) time.Duration {
	w.t.Helper()
	began := time.Now()
	for _, n := range w.bridges {
		must(w.t, await(w.ctx, "the bridge obeys", func() bool {
			v, there := n.metric("factro_bridge_paused")
			return there && v == paused
		}))
	}
	took := time.Since(began)
	if took > time.Second+slow {
		w.t.Errorf("both obeyed after %s", took)
	}
	return took
}

// TestSharedBudget has two clouds with one key work off their commands while another program spends factro's budget at random, and
// kills the bridge meanwhile. factro refuses at most one request in each window.
func TestSharedBudget(t *testing.T) {
	t.Parallel()
	t.Run("shared budget", func(t *testing.T) {
		t.Parallel()
		set := setting{roles: "egress", clouds: []string{cloud, "beta"}, quota: 100, sim: []string{
			"--variant", "window=5s", "--variant", "strangerShare=0.4", "--variant", "strangerBurst=3",
		}}
		w, times := begin(t, set, 120, 1200)
		var pile []order
		for n := range times {
			o := makes(n, demoPackage).with(fmt.Sprintf("key-%d", n%40))
			o.cloud = set.clouds[n%2]
			pile = append(pile, o)
		}
		began := time.Now()
		w.commands.pile(pile)
		must(t, await(w.ctx, "a third is done", func() bool { return w.made() > times/3 }))
		w.disturb(w.bridges[0].Kill, 0, func() error { return w.bridges[0].start() })
		must(t, await(w.ctx, "all is done", func() bool { return w.made() == times }))
		took := time.Since(began)
		var windows []struct{ Requests, Others, Refused int }
		w.ask(http.MethodGet, "/_sim/windows", "", &windows)
		refused, most, requests, others := 0, 0, 0, 0
		for _, v := range windows {
			refused, most, requests, others = refused+v.Refused, max(most, v.Refused), requests+v.Requests, others+v.Others
		}
		t.Logf("%d commands of two clouds took %s: %d requests and %d of another program in %d windows of 100, %d refused, at most %d in a window",
			times, took.Round(time.Second), requests, others, len(windows), refused, most)
		if most > 1 {
			t.Errorf("factro refused %d requests in one window", most)
		}
		if others == 0 {
			t.Error("the other program made no request")
		}
		w.finish("shared budget of two clouds and another program", 66, 1)
	})
}
