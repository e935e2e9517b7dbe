package index

import (
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

// Refill adds an item of it.
func (x *Index) Refill(c *lane.Cut, it *Item) {
	x.mu.Lock()
	defer x.mu.Unlock()
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

// Hold keeps a lane from being carried out until Release, except for what was sent again from a dead letter.
func (x *Index) Hold(key string, letter uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.schedule.Hold(key)
	for seq, it := range x.items {
		if letter > 0 && it.Letter == letter && it.Lane == key {
			lane.Advance(x.schedule, seq)
		}
	}
	x.notify()
}

// Release ends a hold.
func (x *Index) Release(key string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.schedule.Release(key)
	x.notify()
}

// Lanes counts the lanes of an index that do not simply go on.
func Lanes(x *Index) lane.Counts {
	x.mu.Lock()
	defer x.mu.Unlock()
	return lane.Count(x.schedule)
}

// Caught says whether everything up to a place in the stream is known, since it came or nothing is left, and nothing goes before the
// rest of a lane any more.
func (x *Index) Caught(key string, sequence uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return (x.schedule.Highest() >= sequence || len(x.items) == 0) && !lane.Led(x.schedule, key)
}
