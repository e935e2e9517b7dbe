package budget

import (
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

const (
	// knownQuota and knownWindow are those of the only answer that is known (one source), for one that does not tell them.
	knownQuota  = 500
	knownWindow = time.Minute
	// maxWindow is the longest window of a request budget that is believed.
	maxWindow = time.Hour
	// maxQuota is the largest budget of a window that is believed.
	maxQuota = 60 * MaxPerMinute
	// slack is how much the clocks of both sides may drift apart during a window.
	slack = 20 * time.Millisecond
)

// span is an interval of time in which something lies.
type span struct{ lo, hi time.Time }

func (s span) and(o span) span {
	if o.lo.After(s.lo) {
		s.lo = o.lo
	}
	if o.hi.Before(s.hi) {
		s.hi = o.hi
	}
	return s
}

func (s span) empty() bool { return s.hi.Before(s.lo) }

func (s span) later(d time.Duration) span { return span{s.lo.Add(d), s.hi.Add(d)} }

// window is what is known of factro's window, from its answers. It is fixed: it begins with the first request after the end of
// the one before. Answers tell the seconds until its end as a whole number; whether they are rounded up or down is not known, and
// neither is when factro counted a request, between its being sent and its answer. So the end is known as an interval, in which
// all answers agree.
type window struct {
	known  bool // an answer has told of the budget
	quota  int
	length time.Duration

	open    bool // the window has begun; else the next request begins it
	assumed bool // no answer has told of this window yet: it is taken to begin with our own first request
	// up is where the end lies if seconds are rounded up, down if they are rounded down; one of them may be known to be wrong.
	up, down       span
	notUp, notDown bool

	rest             int       // requests that remained by the answer that counts, less those without an answer since
	sentAt           time.Time // when the request of that answer was sent
	gotAt            time.Time // when that answer came
	counts           bool      // whether there is such an answer of this window
	own              int       // our own requests of this window that were answered
	since            int       // of them, those after the answer that counts
	crossed          int       // requests that were made in the time in which the window may have ended
	usual            float64   // requests a second that others made in the window before
	average          float64   // the same of the latest windows
	summed           bool      // whether there was one
	peak, peakBefore float64   // the most requests of others between two answers of this window, and of the one before
	last             time.Time // no window ended later than here before this one began
}

// end is the interval in which the window ends.
func (w *window) end() span {
	switch {
	case w.notUp:
		return w.down
	case w.notDown:
		return w.up
	}
	s := w.up
	if w.down.lo.Before(s.lo) {
		s.lo = w.down.lo
	}
	if w.down.hi.After(s.hi) {
		s.hi = w.down.hi
	}
	return s
}

// roll ends a window whose time is certainly over.
func (w *window) roll(now time.Time) {
	if w.known && w.open && !now.Before(w.end().hi) {
		w.sum()
		w.open, w.counts, w.last = false, false, w.end().hi
		w.rest, w.own, w.since, w.crossed = w.quota, 0, 0, 0
	}
}

// sent notes that a request is sent, which begins a window if none is open.
func (w *window) sent(now time.Time) {
	if !w.known || w.open {
		return
	}
	w.open, w.assumed, w.rest = true, true, w.quota
	w.up = span{now.Add(w.length), now.Add(2 * w.length)}
	w.down = w.up
}

// unanswered notes a request whose answer, if there was one, does not report the budget. It may have been counted.
func (w *window) unanswered(sent, got time.Time) {
	if !w.known {
		return
	}
	w.rest = max(0, w.rest-1)
	if latest := got.Add(w.length); w.open && w.assumed && latest.Before(w.up.hi) && latest.After(w.up.lo) && !sent.Before(w.last) {
		w.up.hi, w.down.hi = latest, latest
	}
}

// learn takes what an answer says of the budget. An answer of a window that is over changes nothing.
func (w *window) learn(b factro.Budget, sent, got time.Time) {
	w.limits(b)
	reset := min(b.Reset, max(w.length, time.Minute))
	up := span{sent.Add(reset - time.Second - slack), got.Add(reset + slack)}
	down := up.later(time.Second)
	if b.Remaining == w.quota-1 && reset >= w.length-time.Second { // this request began the window
		up, down = w.first(up, down, span{sent.Add(w.length - slack), got.Add(w.length + slack)})
	}
	middle := sent.Add(got.Sub(sent)/2 + reset)
	switch w.which(b.Remaining, span{up.lo, down.hi}, middle, sent) {
	case next:
		w.begin(up, down)
		w.own, w.since, w.crossed, w.counts = 1, 0, 0, true
		w.rest, w.sentAt, w.gotAt = b.Remaining, sent, got
	case present:
		w.agree(up, down)
		w.own++
		w.since++
		// The answer to a request that was sent when the other one was there is the newer one. Of the others the lower one is.
		if newer := sent.After(w.gotAt); newer || b.Remaining < w.rest {
			w.peak = max(w.peak, float64(w.rest-b.Remaining-w.since))
			w.rest, w.sentAt, w.gotAt, w.since = b.Remaining, sent, got, 0
		}
	case past:
	}
}

// The windows that an answer may speak of.
type which int

const (
	present which = iota
	past
	next
)

// which says what window an answer speaks of, by when that ends.
func (w *window) which(remaining int, either span, middle, sent time.Time) which {
	was := w.end()
	long := w.length >= 4*time.Second // so that the middles of two windows are clearly different
	if !w.known || !w.open || w.assumed {
		if w.known && sent.Before(w.last) && middle.Before(w.last.Add(w.length/2)) {
			return past
		}
		return next
	}
	center := was.lo.Add(was.hi.Sub(was.lo) / 2)
	switch {
	case either.hi.Before(was.lo), long && middle.Before(center.Add(-w.length/2)):
		if !sent.After(w.sentAt) {
			return past
		}
		return next // factro's clock was set
	case either.lo.After(was.hi), long && middle.After(center.Add(w.length/2)):
		return next
	case remaining > w.rest && sent.After(w.gotAt) && sent.After(was.lo):
		return next
	}
	return present
}

// first finds out how factro rounds, from the request that began a window: of that one the end is known without it.
func (w *window) first(up, down, began span) (span, span) {
	u, d := up.and(began), down.and(began)
	switch {
	case u.empty() && d.empty():
		return began, began
	case u.empty():
		w.notUp, w.notDown, u = true, false, d
	case d.empty():
		w.notUp, w.notDown, d = false, true, u
	}
	return u, d
}

// begin begins a window that ends in one of these intervals.
func (w *window) begin(up, down span) {
	if w.known && w.open && !w.assumed {
		w.last = w.end().hi
	}
	w.sum()
	w.known, w.open, w.assumed = true, true, false
	w.up, w.down = up, down
}

// sum keeps what the window that is over has shown of others.
func (w *window) sum() {
	if w.counts {
		w.usual = float64(w.foreign(0)) / w.length.Seconds()
		if !w.summed {
			w.average, w.summed = w.usual, true
		}
		w.average += (w.usual - w.average) / 4
		w.peakBefore, w.peak = w.peak, 0
	}
}

// agree narrows down the end of the window. If an answer contradicts those before, it is the one that is believed.
func (w *window) agree(up, down span) {
	u, d := w.up.and(up), w.down.and(down)
	switch {
	case (w.notUp || u.empty()) && (w.notDown || d.empty()):
		w.up, w.down, w.notUp, w.notDown = up, down, false, false
		return
	case u.empty():
		w.notUp = true
	case d.empty():
		w.notDown = true
	}
	w.up, w.down = u, d
}

// foreign is how many requests of this window others have made, at least. Of ours so many are not answered.
func (w *window) foreign(inFlight int) int { return max(0, w.quota-w.rest-w.own-inFlight) }

// others is how many requests a second others make: as in the window before, until this one tells more.
func (w *window) others(inFlight int, now time.Time) float64 {
	if !w.counts {
		return w.usual
	}
	weight := 10.0 // seconds that the window before counts for
	if !w.summed {
		weight = 2
	}
	return w.mix(w.usual, weight, inFlight, now)
}

// longRun is the same as it is likely to go on: as in the latest windows, until this one shows more.
func (w *window) longRun(inFlight int, now time.Time) float64 {
	switch {
	case !w.counts:
		return w.average
	case !w.summed: // nothing is known of before, not that others made none
		return w.mix(0, 0.2, inFlight, now)
	}
	return w.mix(w.average, 30, inFlight, now)
}

// later is the same in windows to come. One in which others have spent much at once counts little among several.
func (w *window) later(inFlight int, now time.Time) float64 {
	if !w.summed {
		return w.longRun(inFlight, now)
	}
	return w.average + (w.longRun(inFlight, now)-w.average)/4
}

// mix is how many requests a second others make, if so many seconds count for what is known of before.
func (w *window) mix(before, weight float64, inFlight int, now time.Time) float64 {
	began := w.end().lo.Add(-w.length)
	elapsed := max(0, now.Sub(began).Seconds())
	return (float64(w.foreign(inFlight)) + weight*before) / (elapsed + weight)
}

// refused ends the window at the time at which a refusal says to come again.
func (w *window) refused(until time.Time) {
	if w.known && w.open && !w.assumed {
		w.up, w.down = span{until, until}, span{until, until}
	}
}

// limits takes the quota and the length of the window.
func (w *window) limits(b factro.Budget) {
	switch {
	case b.Quota > 0 && b.Quota <= maxQuota:
		w.quota = b.Quota
	case w.quota == 0:
		w.quota = knownQuota
	}
	w.quota = max(w.quota, min(b.Remaining, maxQuota))
	switch {
	case b.Window > 0 && b.Window <= maxWindow:
		w.length = b.Window
	case w.length == 0:
		w.length = knownWindow
	}
}
