package spool

import (
	"sync"
	"time"
)

// Bounds on the time that a sender should wait when the spool takes nothing.
const (
	minRetry, maxRetry = time.Second, 5 * time.Minute
	unknownRetry       = 30 * time.Second // nothing is handed over, so nobody knows
)

// retryAfter is how long it takes to hand over a tenth of what waits: who comes back for the first free place finds it
// taken.
func (s *Spool) retryAfter() time.Duration {
	perSecond := s.throughput.perSecond(time.Now())
	if perSecond <= 0 {
		return unknownRetry
	}
	wait := time.Duration(float64(s.waiting()) / 10 / perSecond * float64(time.Second))
	return min(max(wait, minRetry), maxRetry)
}

// throughput measures how fast the spool is handed over, in windows of some seconds.
type throughput struct {
	mu    sync.Mutex
	began time.Time
	n     int
	rate  float64 // of the last window
}

const throughputWindow = 5 * time.Second

func (p *throughput) add(n int, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(now)
	p.n += n
}

// advance begins a new window when the last one is over.
func (p *throughput) advance(now time.Time) {
	switch past := now.Sub(p.began); {
	case past >= 2*throughputWindow: // nothing came for a whole window
		p.began, p.n, p.rate = now, 0, 0
	case past >= throughputWindow:
		p.began, p.n, p.rate = now, 0, float64(p.n)/past.Seconds()
	}
}

// perSecond is the rate of the last window, or of this one if there was none; 0 if nothing moves.
func (p *throughput) perSecond(now time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(now)
	if p.rate > 0 {
		return p.rate
	}
	return float64(p.n) / max(now.Sub(p.began), time.Second).Seconds()
}
