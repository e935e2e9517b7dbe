package budget

import (
	"math"
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
	w := p.window // a copy: to look at it changes nothing
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
	count := float64(n) - p.pace.tokens
	if w.open {
		end := w.end()
		rest := end.lo.Add(end.hi.Sub(end.lo) / 2).Sub(now.Add(wait)).Seconds()
		if rest > 0 {
			others, left := w.longRun(p.unsettled(), now), float64(p.left())
			took, made, enough := spend(count, left, others, rest)
			if enough {
				return wait + took
			}
			count -= made
			wait += time.Duration(rest * float64(time.Second))
		}
	}
	others, long, quota := w.longRun(p.unsettled(), now), w.length.Seconds(), float64(w.quota)
	_, each, _ := spend(math.Inf(1), quota, others, long)
	each = max(each, quota/20)
	full := math.Floor(count / each)
	took, _, enough := spend(count-full*each, quota, others, long)
	if !enough {
		took = time.Duration((count/each - full) * float64(w.length))
	}
	return wait + time.Duration(full)*w.length + took
}

// spend is how long so many requests take that begin with so many left and so many seconds before the end of the window, while others
// make so many a second; or how many are made until then, if it is not enough for all. The pace is that of setRate: what is left, less
// half of what others are likely to take, over the rest of the time. So it goes down while the window runs.
func spend(n, left, others, rest float64) (took time.Duration, made float64, enough bool) {
	const steps = 32
	for i := range steps {
		if n <= made {
			return time.Duration(float64(i) * rest / steps * float64(time.Second)), made, true
		}
		step, to := rest/steps, rest*(steps-float64(i))/steps
		rate := max(left/to-others/2, left/to/2)
		if part := left / ((rate + others) * step); part < 1 { // nothing is left before the step is over
			step *= part
		}
		if made+rate*step >= n {
			return time.Duration((float64(i)*rest/steps + (n-made)/rate) * float64(time.Second)), n, true
		}
		made += rate * step
		if left -= (rate + others) * step; left < 1e-3 {
			break
		}
	}
	return 0, made, false
}
