package budget

import (
	"context"
	"net/http"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// QueryWait bounds how long a query waits for its share. It is below the five seconds that the nats command waits for an
// answer: a requester who hears to come later knows more than one who heard nothing.
const QueryWait = 4 * time.Second

// waitsSilently is how much of a used-up window is simply waited for. Near the end of each window the budget is used up.
const waitsSilently = 2 * time.Second

// Limits are what a cloud's configuration says of its budget.
type Limits struct {
	// PerMinute bounds the requests a minute; 0 leaves it to factro.
	PerMinute int
	// Reserve is the part of factro's budget, from 0 to 1, that commands leave to the mirror, reconciliation and queries.
	Reserve float64
}

// Share is what one cloud has of the budgets of a pool. Which of them that is depends on its key, which may change.
type Share struct {
	pool      *Pool
	url       string
	perMinute int
	fixed     bool // whether perMinute is configured: then it holds whatever factro allows
	reserve   float64
	limit     *bucket
	current   *partition
}

// Share adds a cloud, whose API is at an address, to the pool.
func (p *Pool) Share(url string, l Limits) *Share {
	s := &Share{pool: p, url: url, perMinute: l.PerMinute, fixed: l.PerMinute > 0, reserve: l.Reserve}
	if !s.fixed {
		s.perMinute = defaultPerMinute
	}
	s.limit = newBucket(s.perMinute, time.Now())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shares = append(p.shares, s)
	return s
}

func (s *Share) fill(now time.Time) { s.limit.fill(now) }

// bound says whether the share has a limit of its own: a configured one, or the default as long as nothing better is known.
func (s *Share) bound(p *partition) bool { return s.fixed || !p.window.known }

func (s *Share) take() { s.limit.tokens = max(0, s.limit.tokens-1) }

// Take takes a request of a class as soon as it is due. A call has to follow, or GiveBack.
func (s *Share) Take(ctx context.Context, class Class, key func() secret.String) error {
	for ctx.Err() == nil {
		c := &claim{share: s, class: class, granted: make(chan struct{})}
		p := s.enqueue(c, key())
		select {
		case <-c.granted:
		case <-ctx.Done():
			s.pool.mu.Lock()
			p.forget(c)
			if c.ok { // at the same moment
				p.giveBack(s)
			}
			p.dispatch(time.Now())
			s.pool.mu.Unlock()
			return ctx.Err()
		}
		if c.ok {
			return nil
		}
	}
	return ctx.Err()
}

func (s *Share) enqueue(c *claim, key secret.String) *partition {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	p := s.pool.member(s.url, key).partition
	s.current = p
	p.waiting[c.class] = append(p.waiting[c.class], c)
	p.dispatch(time.Now())
	return p
}

// TakeWithin is Take for who does not wait longer than QueryWait. It says when to come again otherwise.
func (s *Share) TakeWithin(ctx context.Context, class Class, key func() secret.String) (again time.Time, ok bool) {
	ends := time.Now().Add(QueryWait)
	if at, certain := s.outlook(class, key()); certain && at.After(ends) {
		return at, false // what will not come within the wait is not waited for
	}
	ctx, cancel := context.WithDeadline(ctx, ends)
	defer cancel()
	if s.Take(ctx, class, key) == nil {
		return time.Time{}, true
	}
	again, _ = s.outlook(class, key())
	return again, false
}

// outlook is when a claim would be served if no other one came. certain tells that only factro could say something better.
func (s *Share) outlook(class Class, key secret.String) (at time.Time, certain bool) {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	now := time.Now()
	p := s.pool.member(s.url, key).partition
	p.expire(now)
	p.setRate(now)
	if w := &p.window; w.known && w.open && w.rest < 1 {
		return w.end().hi, true
	}
	c := &claim{share: s, class: class}
	if wait := p.withheld(c, now); wait > 0 {
		return now.Add(wait), p.credit < 0.999
	}
	return now.Add(p.due(c, false, now)), false
}

// GiveBack returns a request that was taken and is not made after all.
func (s *Share) GiveBack() {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	if p := s.current; p != nil && p.giveBack(s) {
		p.dispatch(time.Now())
	}
}

// Call is one call on its way.
type Call struct {
	share     *Share
	partition *partition
	key       secret.String
	sent      time.Time
}

// Begin notes that a call goes out, with a request that was taken for it, if there is one.
func (s *Share) Begin(key secret.String) *Call {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	now := time.Now()
	p := s.pool.member(s.url, key).partition
	if s.current != nil && s.current != p {
		s.current.claimed(s)
	}
	p.claimed(s)
	p.window.roll(now)
	p.window.sent(now)
	p.inFlight++
	return &Call{share: s, partition: p, key: key, sent: now}
}

// Outcome is how a call ended, as far as the budget is concerned.
type Outcome struct {
	Header  http.Header
	Unsent  bool      // factro cannot have seen the request
	Refused bool      // since the budget is used up
	Theirs  time.Time // the time by factro's clock
}

// Found is what a call has shown of what factro counts by.
type Found struct {
	Kind Kind
	News bool // it is something else than before
}

// End notes how a call ended.
func (c *Call) End(o Outcome) Found {
	s := c.share
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	now := time.Now()
	c.partition.inFlight--
	b, reported := factro.BudgetOf(o.Header)
	p, kind, news := s.pool.learnPartition(s.url, c.key, b.Partition)
	if p != c.partition {
		defer c.partition.dispatch(now)
	}
	switch {
	case o.Unsent:
	case reported && b.Reset <= maxWindow:
		p.window.roll(now)
		p.window.learn(b, c.sent, now)
		p.latency = (7*p.latency + now.Sub(c.sent)) / 8
	default:
		p.window.roll(now)
		p.window.unanswered(c.sent, now)
	}
	if o.Refused {
		until := now.Add(factro.RetryAfter(o.Header, o.Theirs))
		if _, asks := factro.AsksToWait(o.Header, o.Theirs); asks {
			p.window.refused(until)
		} else if w := &p.window; w.known && w.open && w.rest < 1 && w.end().hi.After(until) {
			until = w.end().hi // the seconds until the reset may be rounded down
		}
		p.refuse(now, until)
	}
	p.dispatch(now)
	return Found{kind, news}
}

// Spent says since when nothing may be called with a key, and until when; that may have passed.
func (s *Share) Spent(key secret.String) (since, until time.Time) {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	p, now := s.pool.member(s.url, key).partition, time.Now()
	w := &p.window
	w.roll(now)
	since, until = p.refusedSince, p.refusedUntil
	if !w.known || !w.open || w.rest > 0 {
		return since, until
	}
	if end := w.end().hi; end.Sub(now) > waitsSilently && end.After(until) {
		if !until.After(now) {
			since = w.gotAt
		}
		until = end
	}
	return since, until
}
