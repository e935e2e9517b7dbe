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

// crossings are the parts of the time in which the window may be over or not after which the requests that are kept for it are
// made. The first one comes at once: a request that takes as long to arrive as the one that began the window meets the next one.
var crossings = []float64{0.02, 0.25, 0.5}

// crossing is how many requests are kept for the time in which the end of the window lies. What is left over then, and the time
// until the next one, are both lost.
func (p *partition) crossing() float64 {
	end, w := p.window.end(), &p.window
	if w.assumed {
		return 0
	}
	width := end.hi.Sub(end.lo).Seconds()
	return min(float64(len(crossings)), max(0, math.Round(math.Sqrt(width*float64(w.quota)/w.length.Seconds())-1)))
}

// crosses says whether a request that is made now is one of those, and how long it has to wait.
func (p *partition) crosses(now time.Time) (wait time.Duration, ok bool) {
	w := &p.window
	if !w.known || !w.open || w.assumed {
		return 0, false
	}
	end := w.end()
	if now.Before(end.lo) || float64(p.left()) > p.crossing() {
		return 0, false
	}
	if w.crossed >= len(crossings) {
		return end.hi.Sub(now), true
	}
	at := end.lo.Add(time.Duration(crossings[w.crossed] * float64(end.hi.Sub(end.lo))))
	return max(0, at.Sub(now)), true
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

// next returns the claim that is due, or nil and when to look again.
func (p *partition) next(now time.Time) (*claim, time.Time) {
	again := now.Add(time.Hour)
	sooner := func(t time.Time) {
		if t.Before(again) {
			again = t
		}
	}
	w := &p.window
	if p.refusedUntil.After(now) {
		return nil, p.refusedUntil
	}
	if len(p.grants) > 0 {
		sooner(p.grants[0].ends)
	}
	if w.known && w.open {
		if lo := w.end().lo; lo.After(now) {
			sooner(lo)
		}
		sooner(w.end().hi)
		if p.left() < 1 || p.unsettled() > 0 && p.left() <= p.margin(now) {
			return nil, again
		}
	}
	owed := p.credit > 0.999
	for pass := range 2 {
		if pass == 0 && !owed {
			continue
		}
		for class := range classes {
			if pass == 0 && class == Commands {
				continue
			}
			for _, c := range p.waiting[class] {
				wait := p.due(c, owed && pass == 0, now)
				if wait <= 0 {
					return c, now
				}
				sooner(now.Add(wait))
			}
			if pass == 1 && class == Commands && len(p.waiting[Commands]) > 0 && !p.held(now) {
				break // the others take nothing while a command waits for its turn
			}
		}
	}
	return nil, again
}

// held says whether commands wait for what is reserved for the others.
func (p *partition) held(now time.Time) bool {
	return p.reservedFor(now) > 0 && float64(p.left()) <= p.reservedFor(now)
}

// reservedFor is how much of the window is left to the lower classes. It shrinks with the time that is left, so that nothing of it
// remains unused.
func (p *partition) reservedFor(now time.Time) float64 {
	return p.pool.reserve() * p.rest(now)
}

// rest is the part of the whole quota that belongs to the time that is left of the window.
func (p *partition) rest(now time.Time) float64 {
	w := &p.window
	if !w.known || !w.open {
		return 0
	}
	return float64(w.quota) * min(1, max(0, w.end().lo.Sub(now).Seconds()/w.length.Seconds()))
}

// due is how long a claim has to wait, as things are; 0 if not at all. owed tells that it is served of the reserve.
func (p *partition) due(c *claim, owed bool, now time.Time) time.Duration {
	s := c.share
	need, own := 1.0, 1.0
	if c.class != Commands && !owed {
		need, own = p.pace.spare(), s.limit.spare()
		if p.window.known && p.window.open {
			need = min(need, max(1, float64(p.left())/2))
		}
	}
	wait, crosses := p.crosses(now)
	if !crosses {
		wait = p.pace.due(need)
	}
	if s.bound(p) {
		s.fill(now)
		wait = max(wait, s.limit.due(own))
	}
	if !owed {
		wait = max(wait, p.withheld(c, now))
	}
	return wait
}

// withheld is how long what is left is for others: for commands a tenth, for the others the reserve.
func (p *partition) withheld(c *claim, now time.Time) time.Duration {
	w := &p.window
	if !w.known || !w.open {
		return 0
	}
	part := p.pool.reserve()
	if c.class != Commands {
		part = keep
		if p.held(now) {
			return 0
		}
	}
	over := part*p.rest(now) - float64(p.left())
	if over < 0 || part == 0 {
		return 0
	}
	each := part * float64(w.quota) / w.length.Seconds() // the part shrinks until one more is left
	return time.Duration((over + 1e-3) / each * float64(time.Second))
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
