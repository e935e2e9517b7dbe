package mirror

import (
	"context"
	"net/http"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/mirror/queue"
)

// early is the outcome of a reading that shows nothing new, so soon after an event that factro may not show the change yet. Whether
// factro ever does that is not known. The object is read once more.
const early = "early"

// mostEarly is how many objects must have changed between the first reading and the second one until the mirror believes that factro
// shows changes late. One alone may have been edited once more in between.
const mostEarly = 3

// isEarly says whether a reading that shows nothing new is too soon after an event to be believed, and when to read again. An object
// that the key may not read is left alone until its next event.
func isEarly(w queue.Work, f fetched, outcome string) (again time.Time, is bool) {
	if outcome != unchanged || f.status == http.StatusForbidden {
		return again, false
	}
	for _, c := range w.Causes {
		if c.Certain.After(again) {
			again = c.Certain
		}
	}
	return again, f.began.Before(again)
}

// learnDelay counts the objects that showed a change only when they were read again. If that happens often, all later ones wait.
func (s *session) learnDelay(ctx context.Context, w queue.Work, outcome string) {
	if outcome != changed && outcome != stored || len(w.Causes) == 0 {
		return
	}
	for _, c := range w.Causes {
		if !c.Early {
			return // an event that came later may be the reason
		}
	}
	if s.late.Add(1) == mostEarly {
		s.log.InfoContext(ctx, "factro shows changes later than its webhooks announce them; the mirror waits longer before it reads",
			"cloud", s.cfg.Cloud, "wait", s.delay().String())
	}
}

// delay is how long after an event its object is read.
func (s *session) delay() time.Duration {
	if s.late.Load() >= mostEarly {
		return max(s.cfg.Settle, s.cfg.Recheck)
	}
	return s.cfg.Settle
}

// certain is from when on a reading that shows nothing new is believed, for an event that the stream took at a time.
func (s *session) certain(stored, now time.Time) time.Time {
	if stored.After(now) { // the server's clock is ahead
		stored = now
	}
	return stored.Add(s.cfg.Recheck)
}
