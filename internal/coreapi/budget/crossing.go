package budget

import (
	"math"
	"time"
)

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
