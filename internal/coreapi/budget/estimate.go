package budget

import (
	"time"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// State is what is known of the budget that a cloud has a share of.
type State struct {
	// Allowed is how many requests a minute may be made: what is configured, else what factro allows, else our default.
	Allowed int
	// Known tells that factro has told of the window as it is now, and that this is not over.
	Known bool
	// Remaining requests of that window, and the time by which it is certainly over.
	Remaining int
	Reset     time.Duration
	// Waiting are the claims of this cloud that wait, by their class.
	Waiting [classes]int
	// InFlight are the calls of all clouds on this budget that are on their way.
	InFlight int
	// Kind is what factro counts by.
	Kind Kind
}

// State describes the budget that a key has a share of.
func (s *Share) State(key secret.String) State {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	m, now := s.pool.member(s.url, key), time.Now()
	p := m.partition
	w := &p.window
	w.roll(now)
	st := State{Allowed: int(s.perSecond(p) * 60), InFlight: p.inFlight, Kind: m.kind}
	if w.known && w.open && !w.assumed {
		st.Known, st.Remaining, st.Reset = true, w.rest, w.end().hi.Sub(now)
	}
	for class, all := range p.waiting {
		for _, c := range all {
			if c.share == s {
				st.Waiting[class]++
			}
		}
	}
	return st
}

// perSecond is how many requests a second a cloud may make in the long run, if it is the only one.
func (s *Share) perSecond(p *partition) float64 {
	rate := float64(s.perMinute) / 60
	if w := &p.window; w.known {
		all := min(float64(w.quota)/w.length.Seconds(), MaxPerMinute/60)
		if !s.fixed {
			return all
		}
		return min(rate, all)
	}
	return rate
}

// Estimate is how long it takes until so many more commands can be called, behind those that wait for a request now. What others
// spend is expected to go on as it is.
func (s *Share) Estimate(n int, key secret.String) time.Duration {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	now := time.Now()
	p := s.pool.member(s.url, key).partition
	p.setRate(now)
	n += len(p.waiting[Commands])
	var wait time.Duration
	if p.refusedUntil.After(now) {
		wait = p.refusedUntil.Sub(now)
	}
	if n <= 0 {
		return wait
	}
	s.fill(now)
	limited := time.Duration(0)
	if s.bound(p) {
		limited = max(0, time.Duration((float64(n)-s.limit.tokens)/s.limit.rate*float64(time.Second)))
	}
	return max(wait+limited, p.factros(n, wait, now))
}

// factros is how long factro's own budget takes for so many requests that begin after a wait.
func (p *partition) factros(n int, wait time.Duration, now time.Time) time.Duration {
	w := &p.window
	if !w.known {
		return 0
	}
	others := w.others(p.unsettled(), now)
	long := max(float64(w.quota)/w.length.Seconds()-others, float64(w.quota)/w.length.Seconds()/20)
	count := float64(n)
	if w.open {
		end := w.end()
		rest := end.lo.Add(end.hi.Sub(end.lo) / 2).Sub(now.Add(wait))
		if rest > 0 {
			left := max(0, float64(p.left())-others*rest.Seconds())
			if count <= left {
				count -= p.pace.tokens
				return wait + max(0, time.Duration(count/left*float64(rest)))
			}
			count -= left
			wait += rest
		}
	}
	return wait + time.Duration(count/long*float64(time.Second))
}
