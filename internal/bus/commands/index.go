package commands

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/lane"
)

const (
	// mostIndexed is how many commands of a cloud are in its index. Of a larger backlog the tail of the longest lane is left in the
	// stream, or what is behind all of them.
	mostIndexed = 20_000
	// freshFor is how long the message of an indexed command is kept. It is read again afterwards, right before it is carried out:
	// then a command that somebody took out of the stream is not carried out. mostFresh bounds the bytes of all of them.
	freshFor  = 2 * time.Second
	mostFresh = 16 << 20
)

// item is what is known of an indexed command beside its place in the schedule.
type item struct {
	lane.Entry
	stored  time.Time // when the stream stored it: a stream that was made again counts from 1 again
	reply   string    // for the verdict; empty if the broker has no delivery of it for this bridge
	msg     *nats.Msg // while it is fresh
	since   time.Time // when it came into the index
	renewed time.Time // when the broker heard of it last
	tries   uint64    // how often it was handled
	notice  notice
}

// notice is what the sender of a waiting command was told last.
type notice struct {
	at      time.Time // when; zero if it was told nothing
	retryAt time.Time
}

// index are the commands of a cloud that wait or are being carried out.
type index struct {
	mu       sync.Mutex
	schedule *lane.Schedule
	items    map[uint64]*item
	former   map[uint64]*item // before the last clear
	fresh    int              // bytes
	changed  chan struct{}    // closed, and replaced, when there may be something to do
	most     int
}

func newIndex(most int) *index {
	return &index{schedule: lane.New(most), items: map[uint64]*item{}, changed: make(chan struct{}), most: most}
}

// notify is called under the lock.
func (x *index) notify() {
	close(x.changed)
	x.changed = make(chan struct{})
}

// clear forgets all that is not being carried out, since everything comes again.
func (x *index) clear() {
	x.mu.Lock()
	defer x.mu.Unlock()
	held := x.schedule.AllHeld()
	x.former = x.items
	was := x.schedule
	x.items, x.schedule, x.fresh = map[uint64]*item{}, lane.New(x.most), 0
	for _, key := range held {
		x.schedule.Hold(key)
	}
	for seq, it := range x.former {
		if _, running := was.Has(seq); running {
			it.msg = nil
			x.items[seq] = it
			x.schedule.Resume(it.Entry)
		}
	}
	x.notify()
}

// add indexes a delivery. What is there already only gets the delivery's reply subject. It returns false if another command of this
// number is being carried out, of a stream that was made again since.
func (x *index) add(it *item, front bool) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if have := x.items[it.Seq]; have != nil {
		if have.stored.Equal(it.stored) {
			have.reply, have.renewed = it.reply, it.renewed
			return true
		}
		if _, running := x.schedule.Has(it.Seq); running {
			return false
		}
		x.drop(it.Seq)
	}
	if was := x.former[it.Seq]; was != nil && was.stored.Equal(it.stored) {
		it.since, it.notice, it.tries = was.since, was.notice, was.tries
		delete(x.former, it.Seq)
	}
	put := x.schedule.Add
	if front {
		put = x.schedule.Front
	}
	if put(it.Entry) {
		x.keep(it)
		x.notify()
	}
	return true
}

// keep keeps an item that was scheduled. It is called under the lock.
func (x *index) keep(it *item) {
	x.items[it.Seq] = it
	if it.msg != nil {
		if x.fresh+it.msg.Size() > mostFresh {
			it.msg = nil
		} else {
			x.fresh += it.msg.Size()
		}
	}
}

// forget lets go of the message of an item. It is called under the lock.
func (x *index) forget(it *item) {
	if it.msg != nil {
		x.fresh -= it.msg.Size()
		it.msg = nil
	}
}

// drop takes an item out. It is called under the lock.
func (x *index) drop(seq uint64) {
	if it := x.items[seq]; it != nil {
		x.forget(it)
		delete(x.items, seq)
		x.schedule.Done(seq)
	}
}

// done takes an item out.
func (x *index) done(seq uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(seq)
	x.notify()
}

// wait has an item wait at the head of its lane.
func (x *index) wait(seq uint64, d time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.schedule.Wait(seq, time.Now().Add(d))
	x.notify()
}

// next waits for the item to carry out next. It returns nil if there is none for a while, or when ctx ends.
func (x *index) next(ctx context.Context, patience time.Duration) *item {
	end := time.Now().Add(patience)
	for ctx.Err() == nil {
		x.mu.Lock()
		now := time.Now()
		e, ok := x.schedule.Next(now)
		if ok {
			it := x.items[e.Seq]
			it.tries++
			x.mu.Unlock()
			return it
		}
		wake, changed := x.schedule.Wake(), x.changed
		x.mu.Unlock()
		if !now.Before(end) {
			return nil
		}
		wait := end.Sub(now)
		if !wake.IsZero() {
			wait = min(wait, max(wake.Sub(now), time.Millisecond))
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// take hands out the message of an item, if it is fresh.
func (x *index) take(it *item) *nats.Msg {
	x.mu.Lock()
	defer x.mu.Unlock()
	msg := it.msg
	x.forget(it)
	if time.Since(it.since) > freshFor {
		return nil
	}
	return msg
}

// reply is the subject for the verdict on an item as it is now.
func (x *index) reply(it *item) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return it.reply
}

// size is how many items there are.
func (x *index) size() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.items)
}

// makeRoom has the index hold fewer items than it may. It returns false if that has to wait until some are done.
func (x *index) makeRoom() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	dropped, ok := x.schedule.MakeRoom()
	for _, seq := range dropped {
		x.forget(x.items[seq])
		delete(x.items, seq)
	}
	return ok
}

// due returns the reply subjects of what the broker is to hear of, lest it deliver it again, and forgets messages that are not
// fresh any more.
func (x *index) due(every time.Duration) (replies []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	for _, it := range x.items {
		if it.msg != nil && now.Sub(it.since) > freshFor {
			x.forget(it)
		}
		if it.reply != "" && now.Sub(it.renewed) >= every {
			it.renewed = now
			replies = append(replies, it.reply)
		}
	}
	return replies
}

// idle returns the reply subjects of what is not being carried out.
func (x *index) idle() (replies []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for seq, it := range x.items {
		if _, running := x.schedule.Has(seq); !running && it.reply != "" {
			replies = append(replies, it.reply)
		}
	}
	return replies
}

// short returns a part of the queue that did not fit, and does now.
func (x *index) short(few int) (lane.Cut, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.schedule.Short(few)
}

// part is how much of it is read at once.
func (x *index) part() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.schedule.Part()
}

// refill adds an item of it.
func (x *index) refill(c lane.Cut, it *item) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.items[it.Seq] == nil && x.schedule.Refill(c, it.Entry) {
		x.keep(it)
		x.notify()
	}
}

// refilled says that all of it before a place is known, and returns whether that is all.
func (x *index) refilled(c lane.Cut, next uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.schedule.Refilled(c, next)
}
