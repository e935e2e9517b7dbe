package index

import (
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/lane"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/slots"
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
	// ReportAfter is how long a command waits until its sender hears of it.
	ReportAfter = 5 * time.Second
	// PerSecond bounds how many senders hear of it each second, since each costs a read and a write.
	PerSecond = 250
	// heldFor is what senders hear of a lane that is held: nobody knows for how long.
	heldFor = time.Hour
)

// News is what the sender of an item has to hear.
type News struct {
	Item *Item
	Wait Wait
}

// Unreported returns what has to be reported within the next second, and notes that it is. forecast is how long the calls of so many
// commands take, load what those that are carried out tell.
func (x *Index) Unreported(forecast func(int) time.Duration, load slots.Load) (all []News) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	old := false
	for _, it := range x.items {
		if now.Sub(it.Since) >= ReportAfter {
			old = true
			break
		}
	}
	if !old {
		return nil
	}
	for _, r := range x.schedule.Ranks() {
		it := x.items[r.Seq]
		if now.Sub(it.Since) < ReportAfter {
			continue
		}
		wait := Wait{Until: now.Add(estimate(r, load, forecast)), Before: r.Before, Held: r.Held}
		if r.Until.After(wait.Until) {
			wait.Until = r.Until
		}
		if !it.Notice.Due(now, wait.Until) {
			continue
		}
		it.Notice.Reported(wait.Until)
		if all = append(all, News{it, wait}); len(all) == PerSecond {
			break
		}
	}
	return all
}

// estimate is how long an entry waits: as long as the calls of those before it and its own are not allowed, and as long as those of its
// lane take one after the other. Those that are carried out wait for their calls already, and the forecast knows it.
func estimate(r lane.Rank, load slots.Load, forecast func(int) time.Duration) time.Duration {
	if r.Held {
		return heldFor
	}
	return max(forecast(max(r.Before-load.Running, 0)+1), time.Duration(r.Before)*load.Each, time.Duration(r.Depth)*load.One)
}

// Beyond is the place in the stream from which on there may be commands that are not in the index, and whether it has no room for them.
func (x *Index) Beyond() (from uint64, full bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.schedule.Beyond()
}

// Behind is how long a command is likely to wait that is not in the index, and has so many others like it before it. It returns false
// if it is there.
func (x *Index) Behind(e lane.Entry, others int, forecast func(int) time.Duration, load slots.Load) (Wait, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if known, _ := x.schedule.Has(e.Seq); known {
		return Wait{}, false
	}
	r := x.schedule.Behind(e, others)
	return Wait{Until: time.Now().Add(estimate(r, load, forecast)), Before: r.Before, Held: r.Held}, true
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
