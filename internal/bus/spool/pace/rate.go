package pace

import (
	"sync"
	"time"
)

// Bounds on the time that a sender should wait when the spool takes nothing.
const (
	minRetry, maxRetry = time.Second, 5 * time.Minute
	unknownRetry       = 30 * time.Second // nothing is handed over, so nobody knows
)

// Rate is how fast the spool is handed over, measured in windows of some seconds. Its zero value is ready.
type Rate struct {
	mu    sync.Mutex
	began time.Time
	n     int
	rate  float64 // of the last window
}

const window = 5 * time.Second

// Add counts messages that were handed over.
func (r *Rate) Add(n int, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now)
	r.n += n
}

// advance begins a new window when the last one is over.
func (r *Rate) advance(now time.Time) {
	switch past := now.Sub(r.began); {
	case past >= 2*window: // nothing came for a whole window
		r.began, r.n, r.rate = now, 0, 0
	case past >= window:
		r.began, r.n, r.rate = now, 0, float64(r.n)/past.Seconds()
	}
}

// PerSecond is the rate of the last window, or of this one if there was none; 0 if nothing moves.
func (r *Rate) PerSecond(now time.Time) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now)
	if r.rate > 0 {
		return r.rate
	}
	return float64(r.n) / max(now.Sub(r.began), time.Second).Seconds()
}

// RetryAfter is how long it takes to hand over a tenth of what waits: a sender that returns for the first free place finds it
// taken.
func (r *Rate) RetryAfter(waiting int64, now time.Time) time.Duration {
	perSecond := r.PerSecond(now)
	if perSecond <= 0 {
		return unknownRetry
	}
	wait := time.Duration(float64(waiting) / 10 / perSecond * float64(time.Second))
	return min(max(wait, minRetry), maxRetry)
}
