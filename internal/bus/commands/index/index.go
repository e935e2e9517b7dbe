package index

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/lane"
)

const (
	// Most is how many commands of a cloud are in its index. Of a larger backlog the tail of the longest lane is left in the
	// stream, or what is behind all of them.
	Most = 20_000
	// freshFor is how long the message of an indexed command is kept. It is read again afterwards, right before it is carried out:
	// then a command that somebody took out of the stream is not carried out. MostFresh bounds the bytes of all of them.
	freshFor  = 2 * time.Second
	MostFresh = 16 << 20
)

// Item is what is known of an indexed command beside its place in the schedule.
type Item struct {
	lane.Entry
	Stored  time.Time // when the stream stored it: a stream that was made again counts from 1 again
	Reply   string    // for the verdict; empty if the broker has no delivery of it for this bridge
	Msg     *nats.Msg // while it is fresh
	Since   time.Time // when it came into the index
	Renewed time.Time // when the broker heard of it last
	Tries   uint64    // how often it was handled
	Letter  uint64    // the dead letter that it was sent again from, or 0
	Notice  Notice    // what its sender has heard
}

// Index are the commands of a cloud that wait or are being carried out.
type Index struct {
	mu       sync.Mutex
	schedule *lane.Schedule
	items    map[uint64]*Item
	former   map[uint64]*Item // before the last clear
	fresh    int              // bytes
	changed  chan struct{}    // closed, and replaced, when there may be something to do
	most     int
}

// New returns an empty index with room for so many commands.
func New(most int) *Index {
	return &Index{schedule: lane.New(most), items: map[uint64]*Item{}, changed: make(chan struct{}), most: most}
}

// notify is called under the lock.
func (x *Index) notify() {
	close(x.changed)
	x.changed = make(chan struct{})
}

// Clear forgets all that is not being carried out, since everything comes again.
func (x *Index) Clear() {
	x.mu.Lock()
	defer x.mu.Unlock()
	held := x.schedule.AllHeld()
	x.former = x.items
	was := x.schedule
	x.items, x.schedule, x.fresh = map[uint64]*Item{}, lane.New(x.most), 0
	for _, key := range held {
		x.schedule.Hold(key)
	}
	for seq, it := range x.former {
		if _, running := was.Has(seq); running {
			it.Msg, it.Reply = nil, "" // the delivery was one of the consumer before
			x.items[seq] = it
			x.schedule.Resume(it.Entry)
		}
	}
	x.notify()
}

// Add indexes a delivery. What is there already only gets the delivery's reply subject. It returns false if another command of this
// number is being carried out, of a stream that was made again since.
func (x *Index) Add(it *Item, front bool) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if have := x.items[it.Seq]; have != nil {
		if have.Stored.Equal(it.Stored) {
			have.Reply, have.Renewed = it.Reply, it.Renewed
			return true
		}
		if _, running := x.schedule.Has(it.Seq); running {
			return false
		}
		x.drop(it.Seq)
	}
	if was := x.former[it.Seq]; was != nil && was.Stored.Equal(it.Stored) {
		it.Since, it.Notice, it.Tries = was.Since, was.Notice, was.Tries
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
func (x *Index) keep(it *Item) {
	x.items[it.Seq] = it
	if it.Msg != nil {
		if x.fresh+it.Msg.Size() > MostFresh {
			it.Msg = nil
		} else {
			x.fresh += it.Msg.Size()
		}
	}
}

// forget lets go of the message of an item. It is called under the lock.
func forget(x *Index, it *Item) {
	if it.Msg != nil {
		x.fresh -= it.Msg.Size()
		it.Msg = nil
	}
}

// drop takes an item out. It is called under the lock.
func (x *Index) drop(seq uint64) {
	if it := x.items[seq]; it != nil {
		forget(x, it)
		delete(x.items, seq)
		x.schedule.Done(seq)
	}
}

// Done takes an item out.
func (x *Index) Done(seq uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(seq)
	x.notify()
}

// Wait has an item wait at the head of its lane.
func (x *Index) Wait(seq uint64, d time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.schedule.Wait(seq, time.Now().Add(d))
	x.notify()
}

// Await waits until there is an item to carry out, for a while at most. waited says that there was none at first.
func (x *Index) Await(ctx context.Context, patience time.Duration) (ready, waited bool) {
	end := time.Now().Add(patience)
	for ; ctx.Err() == nil; waited = true {
		x.mu.Lock()
		now := time.Now()
		ready, wake, changed := x.schedule.Ready(now), x.schedule.Wake(), x.changed
		x.mu.Unlock()
		if ready || !now.Before(end) {
			return ready, waited
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
	return false, waited
}

// Next takes the item to carry out next; nil if there is none now.
func (x *Index) Next() *Item {
	x.mu.Lock()
	defer x.mu.Unlock()
	e, ok := x.schedule.Next(time.Now())
	if !ok {
		return nil
	}
	it := x.items[e.Seq]
	it.Tries++
	return it
}

// Take hands out the message of an item, if it is fresh.
func (x *Index) Take(it *Item) *nats.Msg {
	x.mu.Lock()
	defer x.mu.Unlock()
	msg := it.Msg
	forget(x, it)
	if time.Since(it.Since) > freshFor {
		return nil
	}
	return msg
}

// Reply is the subject for the verdict on an item as it is now.
func (x *Index) Reply(it *Item) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return it.Reply
}

// Size is how many items there are.
func (x *Index) Size() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.items)
}

// MakeRoom has the index hold fewer items than it may. It returns false if that has to wait until some are done.
func (x *Index) MakeRoom() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	dropped, ok := x.schedule.MakeRoom()
	for _, seq := range dropped {
		forget(x, x.items[seq])
		delete(x.items, seq)
	}
	return ok
}

// Due returns the reply subjects of what the broker is to hear of, so that it does not deliver it again, and forgets messages that are not
// fresh any more.
func (x *Index) Due(every time.Duration) (replies []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	for _, it := range x.items {
		if it.Msg != nil && now.Sub(it.Since) > freshFor {
			forget(x, it)
		}
		if it.Reply != "" && now.Sub(it.Renewed) >= every {
			it.Renewed = now
			replies = append(replies, it.Reply)
		}
	}
	return replies
}
