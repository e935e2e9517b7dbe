package subscription

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// place is how far a subscription has come in its stream, so that a consumer that is gone can be followed by another.
type place struct {
	mu sync.Mutex
	// created is when the stream was made, or zero if nobody may tell. Another time is that of another stream.
	created time.Time
	// era counts the streams of that name that there were.
	era int
	// behind is the sequence after the last event that was delivered; 0 if there was no consumer yet.
	behind uint64
	// floor is the first event without a verdict when the broker was last asked. Those before it are done,
	// whoever handled them.
	floor uint64
	// open are the events that were delivered and have no verdict yet.
	open map[uint64]*taken
}

// taken is an event that was delivered and has no verdict yet.
type taken struct {
	sequence uint64
	// msg is its last delivery. A verdict is about that one.
	msg *nats.Msg
	// held is true until the verdict was sent. Of an event that is to come again it is false.
	held bool
	// final is true if it is not to come again.
	final bool
}

// recognise begins with the first event of the stream if it is another one than before.
func (p *place) recognise(created time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.behind > 0 && !p.created.IsZero() && !p.created.Equal(created) {
		p.behind, p.floor, p.open = 1, 1, nil
		p.era++
	}
	p.created = created
}

// known reports whether the stream can be recognised, and which one it is of those that there were.
func (p *place) known() (era int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.era, !p.created.IsZero()
}

// sync notes what the broker says about the consumer.
func (p *place) sync(info *jetstream.ConsumerInfo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.floor = info.AckFloor.Stream + 1
	p.behind = max(p.behind, p.floor)
}

// delivered notes a delivery. It returns nil if the event is held already: whoever holds it has this delivery now.
func (p *place) delivered(era int, msg *nats.Msg) *taken {
	p.mu.Lock()
	defer p.mu.Unlock()
	meta, err := msg.Metadata()
	if err != nil || era != p.era { // of a stream that is gone
		return &taken{msg: msg, held: true}
	}
	sequence := meta.Sequence.Stream
	if d := p.open[sequence]; d != nil && d.held {
		d.msg = msg
		return nil
	}
	if p.open == nil {
		p.open = map[uint64]*taken{}
	}
	d := &taken{sequence: sequence, msg: msg, held: true}
	p.open[sequence] = d
	p.behind = max(p.behind, sequence+1)
	return d
}

// last returns the last delivery of an event.
func (p *place) last(d *taken) *nats.Msg {
	p.mu.Lock()
	defer p.mu.Unlock()
	return d.msg
}

// decided notes that an event is not to come again, also if its verdict does not reach the broker.
func (p *place) decided(d *taken) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.final = true
}

// release lets go of an event whose verdict was sent about msg. It returns false if there is a later delivery.
func (p *place) release(d *taken, msg *nats.Msg) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.msg != msg {
		return false
	}
	d.held = false
	if d.final && p.open[d.sequence] == d {
		delete(p.open, d.sequence)
	}
	return true
}

// next is where another consumer is to begin, or 0 if there was none yet: with the first event that has no verdict.
//
// Of a consumer that has many events in flight, others may hold some, and some may have been lost on the way to us, so
// only those before the floor are known to be through.
func (p *place) next(many bool) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.behind
	if many {
		next = min(next, p.floor)
	}
	for sequence, d := range p.open {
		if !d.final {
			next = min(next, sequence)
		}
	}
	return next
}
