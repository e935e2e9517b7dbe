package index

import (
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/lane"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// Wait is how long a command is likely to wait, and what for.
type Wait struct {
	// Until is when its turn is likely to come.
	Until time.Time
	// Before is how many commands are likely to go before it.
	Before int
	// Held says that a dead letter stops its lane, for as long as nobody sends it again or drops it.
	Held bool
}

const (
	// reportAfter is how long a command waits until its sender hears of it.
	reportAfter = 5 * time.Second
	// PerSecond bounds how many senders hear of it each second, since each costs a read and a write.
	PerSecond = 250
	// reportAgain is by how much an estimate has to change to be reported again, beside half of it.
	reportAgain = 10 * time.Second
	// heldFor is what senders hear of a lane that is held: nobody knows for how long.
	heldFor = time.Hour
)

// News is what the sender of an item has to hear.
type News struct {
	Item *Item
	Wait Wait
}

// Unreported returns what has to be reported within the next second, and notes that it is.
func (x *Index) Unreported(forecast func(int) time.Duration) (all []News) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	old := false
	for _, it := range x.items {
		if now.Sub(it.Since) >= reportAfter {
			old = true
			break
		}
	}
	if !old {
		return nil
	}
	took, interval := x.pace.mean()
	for _, r := range x.schedule.Ranks() {
		it := x.items[r.Seq]
		if now.Sub(it.Since) < reportAfter {
			continue
		}
		wait := Wait{Until: now.Add(estimate(r, took, interval, forecast)), Before: r.Before, Held: r.Held}
		if r.Until.After(wait.Until) {
			wait.Until = r.Until
		}
		if !it.notice.differs(now, wait.Until) {
			continue
		}
		it.notice = notice{at: now, retryAt: wait.Until}
		if all = append(all, News{it, wait}); len(all) == PerSecond {
			break
		}
	}
	return all
}

// estimate is how long an entry waits: as long as those before it take that may go first, and as long as those of its lane take one
// after the other.
func estimate(r lane.Rank, took, interval time.Duration, forecast func(int) time.Duration) time.Duration {
	if r.Held {
		return heldFor
	}
	return max(forecast(r.Before), time.Duration(r.Before)*interval, time.Duration(r.Depth)*took)
}

// differs says whether a new estimate is worth a report.
func (n notice) differs(now, until time.Time) bool {
	if n.at.IsZero() {
		return true
	}
	change := until.Sub(n.retryAt).Abs()
	return change > reportAgain && change > n.retryAt.Sub(now)/2
}

// pace is how long the last commands took, and at what intervals they were done.
type pace struct {
	took [64]time.Duration
	done [64]time.Time
	n    int
}

// longest is the longest time that counts: what took longer has waited for factro.
const longest = 30 * time.Second

// add counts a command that is done, and idle says that none is left.
func (p *pace) add(now time.Time, took time.Duration, idle bool) {
	if last := (p.n + len(p.done) - 1) % len(p.done); took > longest || p.n > 0 && now.Sub(p.done[last]) > longest {
		p.n = 0
		return
	}
	p.took[p.n%len(p.took)], p.done[p.n%len(p.done)] = took, now
	p.n++
	if idle {
		p.n = 0
	}
}

// mean is how long a command takes, and how long it is from one to the next; 0 if there were too few.
func (p *pace) mean() (took, interval time.Duration) {
	n := min(p.n, len(p.took))
	if n < 8 {
		return 0, 0
	}
	for _, t := range p.took[:n] {
		took += t / time.Duration(n)
	}
	first := 0
	if p.n > len(p.done) {
		first = p.n % len(p.done)
	}
	last := (p.n - 1) % len(p.done)
	return took, p.done[last].Sub(p.done[first]) / time.Duration(n-1)
}

// Place is the state of an item, and how many are likely to go before it.
func (x *Index) Place(sequence uint64) (status.CommandState, uint64, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	known, running := x.schedule.Has(sequence)
	switch {
	case !known:
		return "", 0, false
	case running:
		return status.CommandInFlight, 0, true
	}
	for _, r := range x.schedule.Ranks() {
		if r.Seq == sequence {
			return status.CommandQueued, uint64(r.Before), true //nolint:gosec // not negative
		}
	}
	return "", 0, false
}
