package index

import (
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/lane"
)

// Idle returns the reply subjects of what is not being carried out.
func (x *Index) Idle() (replies []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for seq, it := range x.items {
		if _, running := x.schedule.Has(seq); !running && it.Reply != "" {
			replies = append(replies, it.Reply)
		}
	}
	return replies
}

// Short returns a part of the queue that did not fit, and does now.
func (x *Index) Short(few int) (lane.Cut, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.schedule.Short(few)
}

// Refill adds an item of it, whose sender has heard of a time, or of none.
func (x *Index) Refill(c *lane.Cut, it *Item, heard time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !heard.IsZero() {
		it.notice = notice{at: time.Now(), retryAt: heard}
	}
	if x.items[it.Seq] == nil && x.schedule.Refill(c, it.Entry) {
		x.keep(it)
		x.notify()
	}
}

// Refilled says that all of it before a place is known, and returns whether that is all.
func (x *Index) Refilled(c *lane.Cut, next uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.schedule.Refilled(c, next)
}

// MakesBefore says whether there is a command before a place in the stream that makes the object of a key.
func MakesBefore(x *Index, key string, sequence uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for seq, it := range x.items {
		if seq < sequence && it.Makes == key {
			return true
		}
	}
	return false
}

// Hold keeps a lane from being carried out until Release.
func (x *Index) Hold(key string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.schedule.Hold(key)
}

// Release ends a hold.
func (x *Index) Release(key string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.schedule.Release(key)
	x.notify()
}

// Caught says whether everything up to a place in the stream is known: it came, or nothing is left.
func (x *Index) Caught(sequence uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.schedule.Highest() >= sequence || len(x.items) == 0
}
