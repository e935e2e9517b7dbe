package egress

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// reasonCode is why a call failed, as a code: for who may not read what factro or the network wrote.
func reasonCode(a answer) string {
	switch {
	case errors.Is(a.err, errSilent), errors.Is(a.err, context.DeadlineExceeded):
		return status.ReasonNoAnswer
	case a.err != nil:
		return status.ReasonNoConnection
	case a.malformed != nil:
		return status.ReasonBadAnswer
	}
	return status.ReasonErrorStatus
}

// failureCode is the code of a call that certainly or perhaps was not carried out since factro failed, or "".
func failureCode(j judgement, a answer) string {
	if healthy(j) || errors.Is(a.err, errOpen) {
		return ""
	}
	return reasonCode(a)
}

// conditions say whether factro can be reached, and why nothing is begun although it can.
func (g *gate) conditions(now time.Time, key secret.String) (reach status.Condition, paused *status.Condition) {
	g.mu.Lock()
	defer g.mu.Unlock()
	reach.State = status.Reachable
	if !g.downSince.IsZero() {
		reach = status.Condition{State: status.Unreachable, Since: instant(g.downSince), Reason: g.reason, Status: g.status, RetryAt: instant(g.openUntil)}
	}
	switch {
	case g.budgetAt.After(now):
		paused = &status.Condition{Reason: status.ReasonThrottled, Since: instant(g.budgetOf), RetryAt: instant(g.budgetAt)}
	case g.isBad && g.badKey == key:
		paused = &status.Condition{Reason: status.ReasonKeyRefused, Since: instant(g.badSince), RetryAt: instant(g.probeAt)}
		if key == "" {
			paused.Reason = status.ReasonKeyMissing
		}
	case g.downSince.IsZero() && g.restAt.After(now):
		paused = &status.Condition{Reason: status.ReasonAskedToWait, Since: instant(g.restOf), RetryAt: instant(g.restAt)}
	default:
		return reach, nil
	}
	paused.State = status.Paused
	return reach, paused
}

// instant is a time of a status, or nil for none. Fractions of a second would be noise.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

// Status says why commands wait, as far as this process knows: what it has in hand, and what keeps it from calling factro.
func (w *Worker) Status() status.Status {
	s := status.Status{Cloud: w.cfg.Cloud, At: time.Now().UTC(), InFlight: w.hand.status()}
	s.Factro, s.Paused = w.gate.conditions(time.Now(), w.key())
	return s
}

// hand is what the worker has in hand, for those who ask.
type hand struct {
	mu sync.Mutex
	in *status.InFlight
}

func (h *hand) take(since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.in = &status.InFlight{State: status.Calling, Since: instant(since)}
}

func (h *hand) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.in = nil
}

// is notes what is done now with the command in hand, and returns what was before.
func (h *hand) is(s status.Activity) (before status.Activity) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.in != nil {
		before, h.in.State = h.in.State, s
	}
	return before
}

// called notes how a call for the command in hand ended.
func (h *hand) called(attempts int, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.in != nil {
		h.in.Attempts, h.in.Reason = attempts, reason
	}
}

func (h *hand) status() *status.InFlight {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.in == nil {
		return nil
	}
	in := *h.in
	return &in
}
