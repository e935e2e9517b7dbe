package coreapi

import (
	"context"
	"errors"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// reason is why a call failed, as a code: for who may not read what factro or the network wrote.
func (a Answer) reason() string {
	switch {
	case a.Silent(), errors.Is(a.Err, context.DeadlineExceeded):
		return status.ReasonNoAnswer
	case a.Err != nil:
		return status.ReasonNoConnection
	case a.Malformed != nil:
		return status.ReasonBadAnswer
	}
	return status.ReasonErrorStatus
}

// FailureCode is the code of a call that certainly or perhaps was not carried out since factro failed, or "".
func FailureCode(j Judgement, a Answer) string {
	if healthy(j) || a.Unasked() {
		return ""
	}
	return a.reason()
}

// conditions say whether factro can be reached, and why nothing is begun although it can.
func (g *gate) conditions(now time.Time, key secret.String) (reach status.Condition, paused *status.Condition) {
	g.mu.Lock()
	defer g.mu.Unlock()
	reach.State = status.Reachable
	if !g.downSince.IsZero() {
		reach = status.Condition{State: status.Unreachable, Since: Instant(g.downSince), Reason: g.reason, Status: g.status, RetryAt: Instant(g.openUntil)}
	}
	switch spentSince, spentUntil := g.budget.Spent(key); {
	case spentUntil.After(now):
		paused = &status.Condition{Reason: status.ReasonThrottled, Since: Instant(spentSince), RetryAt: Instant(spentUntil)}
	case g.isBad && g.badKey == key:
		paused = &status.Condition{Reason: status.ReasonKeyRefused, Since: Instant(g.badSince), RetryAt: Instant(g.probeAt)}
		if key == "" {
			paused.Reason = status.ReasonKeyMissing
		}
	case g.downSince.IsZero() && g.restAt.After(now):
		paused = &status.Condition{Reason: status.ReasonAskedToWait, Since: Instant(g.restOf), RetryAt: Instant(g.restAt)}
	default:
		return reach, nil
	}
	paused.State = status.Paused
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
