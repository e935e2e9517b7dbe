package chaos

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestManyKeys has three bridges work on commands of many keys while factro fails at random, and kills or freezes one of them every
// five seconds, some for longer than a lease holds. Nothing is lost, done twice or out of order in its key. Pairs of equal creates
// side by side make two tasks each.
func TestManyKeys(t *testing.T) {
	t.Parallel()
	t.Run("killed or frozen", func(t *testing.T) {
		t.Parallel()
		w, all := begin(t, setting{bridges: 3, roles: "egress"}, 300, 10_000)
		keys := max(30, all/20)
		parents := w.packages(keys/10 + 1)
		var pile []order
		for n := range all {
			key := n % keys
			o := makes(n, parents[key%len(parents)])
			if n/keys%2 == 1 {
				o = changes(n)
			}
			pile = append(pile, o.with(fmt.Sprintf("key-%d", key)))
			if n%(all/5) == 0 {
				for _, side := range []string{"left", "right"} {
					twin := makes(all+n, parents[0])
					twin.id = fmt.Sprintf("twin-%d-%s", n, side)
					pile = append(pile, twin)
				}
			}
		}
		w.faults(flaky)
		began := time.Now()
		w.commands.pile(pile)
		kills, freezes, long := w.strikeUntilDone(len(pile))
		w.finish(fmt.Sprintf("%d keys, one of three bridges killed or frozen every 5 s", keys), 60, kills+freezes)
		w.t.Logf("%d commands in %s: %d kills, %d freezes, %d of them for longer than a lease holds",
			len(pile), time.Since(began).Round(time.Second), kills, freezes, long)
		w.wantTwins(all)
		w.wantOrder(func(n int) int {
			if n >= all { // the twins are in order with nothing
				return -n
			}
			return n % keys
		})
	})
}

// flaky are the failures of factro in this row: slow answers, errors, cut connections before and after the change, 429 and 503.
const flaky = `[
	{"kind":"latency","delay":"20ms"}, {"kind":"latency","p":0.01,"delay":"2s"}, {"kind":"error","p":0.02}, {"kind":"html","p":0.01},
	{"kind":"cut-before","p":0.02}, {"kind":"cut-after","p":0.02}, {"kind":"html-after","p":0.01},
	{"kind":"rate-limit","p":0.002,"retryAfter":"1"}, {"kind":"unavailable","p":0.001,"retryAfter":"1"}
]`

// strikeUntilDone kills or freezes one of the bridges every five seconds, until so many commands have their results. One of them is
// always left.
func (w *world) strikeUntilDone(commands int) (kills, freezes, long int) {
	w.t.Helper()
	var away sync.WaitGroup
	var mu sync.Mutex
	down := map[*node]bool{}
	for strikes := 0; ; strikes++ {
		w.pause(5 * time.Second)
		must(w.t, w.books.read(w.ctx))
		if len(w.books.results) >= commands && strikes > 1 {
			break
		}
		mu.Lock()
		n := w.bridges[w.rng.IntN(len(w.bridges))]
		skip := down[n] || len(down) == len(w.bridges)-1
		down[n] = down[n] || !skip
		mu.Unlock()
		if skip {
			continue
		}
		act, wait := func() error { n.Kill(); return nil }, w.between(0, time.Second)
		back := func() error { return n.start() }
		if strikes%2 == 1 {
			freezes++
			act, wait = func() error { return n.Signal(syscall.SIGSTOP) }, w.between(time.Second, 14*time.Second)
			if strikes == 1 { // at least one of a run
				wait = 9 * time.Second
			}
			if wait > 8*time.Second {
				long++
			}
			back = func() error { return n.Signal(syscall.SIGCONT) }
		} else {
			kills++
		}
		must(w.t, act())
		away.Go(func() {
			w.pause(wait)
			if err := back(); err != nil && w.ctx.Err() == nil {
				w.t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			delete(down, n)
		})
	}
	away.Wait()
	return kills, freezes, long
}

// wantTwins wants two tasks of each pair of equal creates. What they have in common with other commands the account has counted.
func (w *world) wantTwins(from int) {
	w.t.Helper()
	tasks, err := w.tasks()
	must(w.t, err)
	pairs := 0
	for title, n := range tasks {
		var number int
		if _, err := fmt.Sscanf(title, "Prüfung %d", &number); err != nil || number < from {
			continue
		}
		pairs++
		if n != 2 {
			w.t.Errorf("two equal creates made %d tasks", n)
		}
	}
	w.t.Logf("%d pairs of equal creates made two tasks each", pairs)
	if pairs == 0 {
		w.t.Error("there was no pair of equal creates")
	}
}
