package coreapi

import (
	"net/http"
	"sync"
	"time"
)

// clock is factro's clock, as the Date headers of its answers tell it. Whether all of factro's servers have one time is
// not known, and a header has whole seconds. One answer alone is not believed: what it says would be in every object that
// is made from then on.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration // of ours
	known bool

	candidate time.Duration // another time that answers have told
	votes     int           // how many in a row
	warned    time.Time     // when a time that cannot be was last reported
}

const (
	// maxAhead is how far factro's clock may be from ours. A clock that is further off is wrong, and an operator has to
	// set it.
	maxAhead = 15 * time.Minute
	// Agreeing is how many answers in a row have to tell the same before it is believed.
	Agreeing = 3
	// warnAgain is how often a clock that is too far off is reported.
	warnAgain = time.Hour
)

// learn takes the time of an answer. off is how far it is from ours; far tells that this cannot be, warn that it is time
// to say so.
func (c *clock) learn(h http.Header, now time.Time) (off time.Duration, far, warn bool) {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0, false, false
	}
	off = at.Add(time.Second / 2).Sub(now)
	c.mu.Lock()
	defer c.mu.Unlock()
	if off.Abs() > maxAhead {
		if warn = c.warned.IsZero() || now.Sub(c.warned) >= warnAgain; warn {
			c.warned = now
		}
		return off, true, warn
	}
	// Until it is known, it is taken for ours: an answer that says the same is the second voice.
	if (off - c.ahead).Abs() <= narrowSkew {
		c.ahead, c.known, c.votes = off, true, 0
		return off, false, false
	}
	if c.votes == 0 || (off-c.candidate).Abs() > narrowSkew {
		c.votes = 0
	}
	c.candidate = off
	if c.votes++; c.votes >= Agreeing {
		c.ahead, c.known, c.votes = off, true, 0
	}
	return off, false, false
}

// at is a time of ours on factro's clock, and how far that may be wrong.
func (c *clock) at(ours time.Time) (theirs time.Time, tolerance time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		return ours, WideSkew
	}
	return ours.Add(c.ahead), narrowSkew
}

// unsettled says whether the answers so far have told a time of their own, but too few of them.
func (c *clock) unsettled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.votes > 0
}

// offset is how far factro's clock is ahead of ours, if that is known.
func (c *clock) offset() (ahead time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead, c.known
}
