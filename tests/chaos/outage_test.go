package chaos

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestFactroAway has commands wait while factro is away, or asks to be left alone, for as long as it takes operators to notice. Nothing
// is given up, every sender is told, and the backlog follows at the pace that factro allows.
func TestFactroAway(t *testing.T) {
	t.Parallel()
	for i, c := range []struct {
		name                   string
		asks                   bool
		shortAsks, longAsks    int
		shortAway, longSeconds int
	}{
		{name: "factro away", shortAway: 12, longSeconds: 600},
		{name: "factro asks to wait", asks: true, shortAsks: 8, longAsks: 120, shortAway: 12, longSeconds: 600},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, seconds := begin(t, setting{roles: "egress", quota: 500}, c.shortAway, c.longSeconds)
			commands, asks := 60, c.shortAsks
			if *form == "long" {
				commands, asks = 1000, c.longAsks
			}
			var pile []order
			for n := range commands {
				pile = append(pile, makes(n, demoPackage).with(fmt.Sprintf("key-%d", n)))
			}
			name := fmt.Sprintf("factro away for %d s, %d commands waiting", seconds, commands)
			hit, heal := func() { w.core.set(link{cut: true}) }, func() error { w.core.set(link{}); return nil }
			if c.asks {
				name = fmt.Sprintf("503 with Retry-After: %d for %d s, %d commands waiting", asks, seconds, commands)
				hit = func() { w.faults(fmt.Sprintf(`[{"kind":"unavailable","retryAfter":%q}]`, strconv.Itoa(asks))) }
				heal = func() error { w.faults("[]"); return nil }
			}
			w.disturb(func() { hit(); w.commands.pile(pile) }, time.Duration(seconds)*time.Second, heal)
			back := time.Now()
			w.settle()
			w.told(commands)
			w.attempted(commands)
			w.paced(back, commands)
			if c.asks {
				w.leftAlone(time.Duration(asks) * time.Second)
			}
			w.finish(name, 62+i, 1)
		})
	}
}

// told wants every sender to have heard of the wait, and no flood of such results.
func (w *world) told(commands int) {
	w.t.Helper()
	all, most := 0, 0
	for id := range w.commands.sent {
		n := w.books.told[id]
		all, most = all+n, max(most, n)
		if n == 0 {
			w.t.Errorf("the sender of command %s was not told to wait", id)
		}
	}
	w.t.Logf("%d commands had %d deferred results, at most %d each", commands, all, most)
}

// attempted wants at most two calls and two deliveries of each command, and no dead letter.
func (w *world) attempted(commands int) {
	w.t.Helper()
	most, calls := 0, map[int]int{}
	for id := range w.commands.sent {
		most = max(most, w.books.tried[id])
	}
	for _, c := range w.bridges[0].calls.between(time.Time{}, time.Now()) {
		calls[c.number]++
	}
	sent := 0
	for _, n := range calls {
		sent = max(sent, n)
	}
	consumer, err := w.js.Consumer(w.ctx, prefix.CommandStream(cloud), "egress-"+cloud)
	must(w.t, err)
	dead, err := w.js.Stream(w.ctx, prefix.DeadStream(cloud))
	must(w.t, err)
	letters := dead.CachedInfo().State.Msgs
	deliveries := consumer.CachedInfo().Delivered.Consumer
	w.t.Logf("at most %d attempts that count and %d calls of a command, %d deliveries of %d commands, %d dead letters", most, sent, deliveries, commands, letters)
	if most > 2 || sent > 2 || deliveries > uint64(2*commands) || letters > 0 { //nolint:gosec // not negative
		w.t.Error("want at most two of each, and no dead letter")
	}
}

// paced wants the requests after the outage to be within factro's budget, and the backlog to be done in the time that it allows.
func (w *world) paced(back time.Time, commands int) {
	w.t.Helper()
	all := w.bridges[0].calls.requests()
	all = slices.DeleteFunc(all, func(e exchange) bool { return e.began.Before(back) })
	if len(all) == 0 {
		w.t.Fatal("there was no request after the outage")
	}
	var windows []struct{ Requests, Refused int }
	w.ask(http.MethodGet, "/_sim/windows", "", &windows)
	refused := 0
	for _, window := range windows {
		refused += window.Refused
	}
	last := all[len(all)-1].began
	w.t.Logf("the first request came %s after the outage, the last of %d after %s; factro refused %d; its windows: %+v",
		all[0].began.Sub(back).Round(time.Millisecond), len(all), last.Sub(back).Round(time.Second), refused, windows)
	if refused > 0 {
		w.t.Errorf("factro refused %d requests", refused)
	}
	if d := last.Sub(back); commands >= 500 && (d < time.Duration(commands-500)*time.Minute/500 || d > time.Duration(commands)*time.Minute/500*3/2+3*time.Minute) {
		w.t.Errorf("the backlog of %d took %s", commands, d)
	}
}

// leftAlone wants no request to begin before the time that an answer 503 asked for.
func (w *world) leftAlone(asked time.Duration) {
	w.t.Helper()
	const slack = 100 * time.Millisecond // for the way between the bridge and here
	early, asking := 0, 0
	var first time.Duration
	all := w.bridges[0].calls.requests()
	for _, e := range all {
		if e.status != http.StatusServiceUnavailable {
			continue
		}
		asking++
		next := time.Duration(0)
		for _, f := range all {
			if d := f.began.Sub(e.ended); d > slack && (next == 0 || d < next) {
				next = d
			}
		}
		if first == 0 || next > 0 && next < first {
			first = next
		}
		if next > 0 && next < asked-slack {
			early++
		}
	}
	w.t.Logf("%d answers asked to wait for %s; the earliest request after one came %s later", asking, asked, first.Round(time.Millisecond))
	if early > 0 || asking == 0 {
		w.t.Errorf("after %d of %d answers a request came before its time", early, asking)
	}
}
