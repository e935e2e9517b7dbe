package slots

import (
	"context"
	"math"
	"sync"
	"time"
)

// Pacer knows how fast factro may be called, and how fast it answers.
type Pacer interface {
	// Pace is how many calls a second are allowed, and how long the latest answers took; 0 if that is not known.
	Pace() (perSecond float64, answer time.Duration)
}

// Limits are how many commands are carried out at once.
type Limits struct {
	// Usual is how many while answers are quick. Most is up to how many it is raised while slow ones would leave a part of what is
	// allowed unused; at most Usual for never.
	Usual, Most int
}

const (
	// slow is how long answers take when the limit is raised. With quicker ones the usual number of calls is more than factro allows.
	slow = 500 * time.Millisecond
	// margin and spare are for answers that take longer than the latest ones, and for what a command takes beside its call.
	margin, spare = 1.25, 2
	// weight is that of a new command in the average of the latest ones.
	weight = 0.05
)

// Slots are the places of the commands that are carried out.
type Slots struct {
	limits Limits
	pacer  Pacer // nil if nothing is known

	mu      sync.Mutex
	busy    int           // commands that are carried out
	ahead   int           // those of them that do not have their call yet
	prepare time.Duration // how long a command takes until it asks for its call
	work    time.Duration // how long it takes in all, without its waiting for calls
	changed chan struct{} // has an element when there may be room
}

// New returns slots of which none is taken.
func New(l Limits, p Pacer) *Slots {
	return &Slots{limits: l, pacer: p, changed: make(chan struct{}, 1)}
}

// allowed is how many may be carried out, and how many of them may be without a call. It is called under the lock.
func (s *Slots) allowed() (limit, ahead int) {
	limit = max(s.limits.Usual, 1)
	if s.pacer == nil {
		return limit, limit
	}
	perSecond, answer := s.pacer.Pace()
	if answer >= slow && s.limits.Most > limit {
		limit = min(max(needed(perSecond, answer)+spare, limit), s.limits.Most)
	}
	return limit, min(needed(perSecond, s.prepare)+1, limit)
}

// needed is how many must be under way at once so that so many are finished each second (Little's law).
func needed(perSecond float64, took time.Duration) int {
	return max(int(min(math.Ceil(perSecond*took.Seconds()*margin), math.MaxInt32)), 1)
}

// Limit is how many commands may be carried out at once now.
func (s *Slots) Limit() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit, _ := s.allowed()
	return limit
}

// Take waits for a slot. Commands that only wait for their call are few: what is chosen later is chosen better, since a command of
// another sender or of a higher priority may have come meanwhile.
func (s *Slots) Take(ctx context.Context) (*Slot, error) {
	for ctx.Err() == nil {
		s.mu.Lock()
		if limit, ahead := s.allowed(); s.busy < limit && s.ahead < ahead {
			s.busy++
			s.ahead++
			s.mu.Unlock()
			return &Slot{slots: s}, nil
		}
		s.mu.Unlock()
		select {
		case <-s.changed:
		case <-ctx.Done():
		}
	}
	return nil, ctx.Err()
}

// Load is what the commands that are carried out tell of those behind them.
type Load struct {
	// Running is how many there are.
	Running int
	// One is how long a command takes beside waiting for its calls, Each what comes to each when as many as may be are carried out at
	// once: how long they take if calls are no limit. Both are 0 before there was one.
	One, Each time.Duration
}

// Load is what it is now.
func (s *Slots) Load() Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit, _ := s.allowed()
	return Load{Running: s.busy, One: s.work, Each: s.work / time.Duration(limit)}
}

// learn takes a command into an average.
func learn(average *time.Duration, took time.Duration) {
	if *average == 0 {
		*average = took
	}
	*average += time.Duration(weight * float64(took-*average))
}

// Slot is the place of one command.
type Slot struct {
	slots  *Slots
	began  time.Time
	asked  time.Time     // when it asked for the call that it waits for
	waited time.Duration // for calls
	called bool
}

type slotKey struct{}

// Begin notes that a command begins. What it does knows the slot by the context.
func (t *Slot) Begin(ctx context.Context) context.Context {
	t.began = time.Now()
	return context.WithValue(ctx, slotKey{}, t)
}

// Asks notes that a command asks for its call. It has it when has is called.
func Asks(ctx context.Context) (has func()) {
	t, ok := ctx.Value(slotKey{}).(*Slot)
	if !ok {
		return func() {}
	}
	t.slots.mu.Lock()
	defer t.slots.mu.Unlock()
	t.asked = time.Now()
	if !t.called {
		learn(&t.slots.prepare, t.asked.Sub(t.began))
	}
	return t.has
}

// has notes that a command has its call.
func (t *Slot) has() {
	t.slots.mu.Lock()
	defer t.slots.mu.Unlock()
	t.waitEnds()
	t.call()
}

// waitEnds is called under the lock.
func (t *Slot) waitEnds() {
	if !t.asked.IsZero() {
		t.waited += time.Since(t.asked)
		t.asked = time.Time{}
	}
}

// call is called under the lock.
func (t *Slot) call() {
	if t.called {
		return
	}
	t.called = true
	t.slots.ahead--
	t.slots.notify()
}

// End gives the place back.
func (t *Slot) End() {
	t.slots.mu.Lock()
	defer t.slots.mu.Unlock()
	t.waitEnds()
	if !t.began.IsZero() {
		learn(&t.slots.work, time.Since(t.began)-t.waited)
	}
	t.call()
	t.slots.busy--
	t.slots.notify()
}

// notify is called under the lock.
func (s *Slots) notify() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
