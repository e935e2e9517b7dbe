package coreapi

import (
	"slices"
	"sync"
	"time"
)

// pace is how long factro takes to answer.
type pace struct {
	mu     sync.Mutex
	latest [32]time.Duration
	count  int
}

// enough is how many answers tell how long they take. Before that a slow first connection would decide.
const enough = 16

func (p *pace) learn(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest[p.count%len(p.latest)] = took
	p.count++
}

// answer is the median of the latest answers, 0 if there are too few. A pause of the machine, which a few answers share, does not
// change it.
func (p *pace) answer() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count < enough {
		return 0
	}
	sorted := p.latest
	n := min(p.count, len(sorted))
	slices.Sort(sorted[:n])
	return sorted[n/2]
}

// Pace is how many calls a second are allowed, and how long factro took for the latest answers; 0 if there were too few.
func (a *API) Pace() (perSecond float64, answer time.Duration) {
	return float64(a.budget.State(a.Key()).Allowed) / 60, a.pace.answer()
}
