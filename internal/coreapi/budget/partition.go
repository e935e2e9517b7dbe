package budget

import (
	"math"
	"time"
)

// Class is what a claim is for. A lower one goes first.
type Class int

// The classes, in the order in which their claims are served.
const (
	Commands Class = iota
	Mirror
	Reconcile
	Queries
	classes
)

func (c Class) String() string { return [...]string{"commands", "mirror", "reconcile", "queries"}[c] }

const (
	// defaultPerMinute is what is spent while neither the configuration nor factro says how much may be: of 500 (one source).
	defaultPerMinute = 480
	// grantLasts is how long a granted request is kept for a call that does not come.
	grantLasts = 10 * time.Second
	// keep is the part of factro's budget that commands are left by all others, for the whole window.
	keep = 0.1
)

// claim is one who waits for a request.
type claim struct {
	share   *Share
	class   Class
	granted chan struct{} // is closed when the request is granted, or when the claim has to be made again
	ok      bool          // whether it is granted
}

// grant is a request that nobody has made yet.
type grant struct {
	share *Share
	ends  time.Time
}

// partition is the budget of what factro counts by. All of it is guarded by the pool's lock.
type partition struct {
	pool     *Pool
	identity string // as factro writes it, or "" if it has not
	window   window
	pace     *bucket
	waiting  [classes][]*claim
	grants   []grant
	inFlight int
	latency  time.Duration // of the latest answers
	credit   float64       // requests that the lower classes are owed, of the reserve

	refusedSince time.Time // since when nothing may be called before refusedUntil
	refusedUntil time.Time
	timer        *time.Timer
}

func newPartition(pool *Pool) *partition {
	return &partition{pool: pool, pace: newBucket(defaultPerMinute, time.Now())}
}

// left is how many requests may still be made in this window, if all that are on their way are counted yet to come.
func (p *partition) left() int { return p.window.rest - p.inFlight - len(p.grants) }

// setRate makes the pace fit to what is left and the time that is left for it.
func (p *partition) setRate(now time.Time) {
	w := &p.window
	w.roll(now)
	p.pace.fill(now)
	perMinute := p.pool.configured()
	if w.known {
		perMinute = int(min(float64(w.quota)/w.length.Minutes(), MaxPerMinute))
	}
	if most := burst(perMinute); most != p.pace.most {
		p.pace.tokens *= most / p.pace.most
		p.pace.most = most
	}
	p.pace.rate = float64(perMinute) / 60
	if !w.known || !w.open {
		return
	}
	end, left := w.end(), float64(p.left())
	until, spend := end.hi, left
	if now.Before(end.lo) {
		// A few requests are kept for the time in which the window may be over or not. The first one of the next window shows it.
		until, spend = end.lo, left-p.crossing()
	}
	seconds := max(until.Sub(now).Seconds(), 0.001)
	// Half of what others are likely to spend is left to them: more would go unused when they spend less.
	spend = max(spend-w.others(p.unsettled(), now)*seconds/2, spend/2)
	p.pace.rate = min(max(0, spend+0.5-p.pace.tokens)/seconds, MaxPerMinute) // the last one is not kept until the very end
}

func (p *partition) unsettled() int { return p.inFlight + len(p.grants) }

// margin is how many requests must be left for more than one to be on its way: what others are likely to make until the next
// answer shows it. Then at most one request meets a budget that they have used up.
func (p *partition) margin(now time.Time) int {
	w := &p.window
	rate := w.others(p.unsettled(), now)
	if !w.counts || w.foreign(p.unsettled()) == 0 && w.usual == 0 {
		return 0
	}
	unseen := rate * (now.Sub(w.sentAt) + p.latency).Seconds()
	return int(math.Ceil(unseen + 2*math.Sqrt(unseen) + max(w.peak, w.peakBefore)))
}

// dispatch grants what is due, and comes again when more is.
func (p *partition) dispatch(now time.Time) {
	p.expire(now)
	again := now.Add(time.Hour)
	for p.any() {
		p.setRate(now)
		c, at := p.next(now)
		if c == nil {
			again = at
			break
		}
		p.serve(c, now)
	}
	p.wake(now, again)
}

// serve grants a claim.
func (p *partition) serve(c *claim, now time.Time) {
	p.forget(c)
	if _, crosses := p.crosses(now); crosses {
		p.window.crossed++
	}
	p.pace.tokens = max(0, p.pace.tokens-1)
	c.share.take()
	if c.class == Commands {
		p.credit = min(p.credit+p.pool.reserve()/(1-p.pool.reserve()), 1)
	} else {
		p.credit = max(0, p.credit-1)
	}
	p.grants = append(p.grants, grant{c.share, now.Add(grantLasts)})
	c.ok = true
	close(c.granted)
}

// forget takes a claim out of those that wait.
func (p *partition) forget(c *claim) {
	all := p.waiting[c.class]
	for i := range all {
		if all[i] == c {
			p.waiting[c.class] = append(all[:i:i], all[i+1:]...)
			return
		}
	}
}

// expire takes back what was granted for calls that did not come.
func (p *partition) expire(now time.Time) {
	for len(p.grants) > 0 && !p.grants[0].ends.After(now) {
		p.grants = p.grants[1:]
	}
}

// claimed takes the oldest grant of a share, and says whether there was one.
func (p *partition) claimed(s *Share) bool {
	for i := range p.grants {
		if p.grants[i].share == s {
			p.grants = append(p.grants[:i:i], p.grants[i+1:]...)
			return true
		}
	}
	return false
}

// giveBack takes a request back that was granted to a share, and says whether there was one.
func (p *partition) giveBack(s *Share) bool {
	if !p.claimed(s) {
		return false
	}
	p.pace.tokens = min(p.pace.most, p.pace.tokens+1)
	s.limit.tokens = min(s.limit.most, s.limit.tokens+1)
	return true
}

func (p *partition) any() bool {
	for _, all := range p.waiting {
		if len(all) > 0 {
			return true
		}
	}
	return false
}

// wake has dispatch run at a time, if anybody waits.
func (p *partition) wake(now, at time.Time) {
	if p.timer != nil {
		p.timer.Stop()
	}
	if !p.any() {
		return
	}
	p.timer = time.AfterFunc(max(at.Sub(now), time.Microsecond), func() {
		p.pool.mu.Lock()
		defer p.pool.mu.Unlock()
		p.dispatch(time.Now())
	})
}

// refuse notes that nothing may be called before a time. A later answer never shortens that.
func (p *partition) refuse(now, until time.Time) {
	if !p.refusedUntil.After(now) {
		p.refusedSince = now
	}
	if until.After(p.refusedUntil) {
		p.refusedUntil = until
	}
}
