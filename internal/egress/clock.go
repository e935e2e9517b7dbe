package egress

import (
	"net/http"
	"sync"
	"time"
)

// clock is factro's clock, as the Date headers of its answers tell it. Whether all of factro's servers have one time is
// not known, and a header has whole seconds.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration // of ours
	known bool
}

func (c *clock) learn(h http.Header, now time.Time) {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead, c.known = at.Add(time.Second/2).Sub(now), true
}

// at is a time of ours on factro's clock, and how far that may be wrong.
func (c *clock) at(ours time.Time) (theirs time.Time, tolerance time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		return ours, wideSkew
	}
	return ours.Add(c.ahead), narrowSkew
}
