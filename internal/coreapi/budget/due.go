package budget

import "time"

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
