package coreapi

import (
	"context"
	"errors"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// reason is why a call failed, as a code: for who may not read what factro or the network wrote.
func (a Answer) reason() string {
	switch {
	case a.Silent(), errors.Is(a.Err, context.DeadlineExceeded):
		return events.ReasonNoAnswer
	case a.Err != nil:
		return events.ReasonNoConnection
	case a.Malformed != nil:
		return events.ReasonBadAnswer
	}
	return events.ReasonErrorStatus
}

// FailureCode is the code of a call that certainly or perhaps was not carried out since factro failed, or "".
func FailureCode(j Judgement, a Answer) string {
	if healthy(j) || a.Unasked() {
		return ""
	}
	return a.reason()
}

// conditions say whether factro can be reached, and why nothing is begun although it can.
func (g *gate) conditions(now time.Time, key secret.String) (reach events.Condition, paused *events.Condition) {
	g.mu.Lock()
	defer g.mu.Unlock()
	reach.State = events.Reachable
	if !g.downSince.IsZero() {
		reach = events.Condition{State: events.Unreachable, Since: Instant(g.downSince), Reason: g.reason, Status: g.status, RetryAt: Instant(g.openUntil)}
	}
	switch {
	case g.budgetAt.After(now):
		paused = &events.Condition{Reason: events.ReasonThrottled, Since: Instant(g.budgetOf), RetryAt: Instant(g.budgetAt)}
	case g.isBad && g.badKey == key:
		paused = &events.Condition{Reason: events.ReasonKeyRefused, Since: Instant(g.badSince), RetryAt: Instant(g.probeAt)}
		if key == "" {
			paused.Reason = events.ReasonKeyMissing
		}
	case g.downSince.IsZero() && g.restAt.After(now):
		paused = &events.Condition{Reason: events.ReasonAskedToWait, Since: Instant(g.restOf), RetryAt: Instant(g.restAt)}
	default:
		return reach, nil
	}
	paused.State = events.Paused
	return reach, paused
}

// Instant is a time of a status, or nil for none. Fractions of a second would be noise.
func Instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}
