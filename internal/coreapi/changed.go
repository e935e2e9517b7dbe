package coreapi

import (
	"context"
	"time"
)

// What a Change is about.
const (
	Opened      = "opened"       // factro counts as failing, and is not called
	Closed      = "closed"       // factro is well again
	KeyRefused  = "key-refused"  // factro does not accept the key, or there is none
	KeyAccepted = "key-accepted" // it accepts it again
)

// Change is a change of what keeps this process from calling factro.
type Change struct {
	What string
	// Since is when what began that the change begins or ends.
	Since time.Time
	// Cause is why, without anything that factro or a file wrote; "" of a good end.
	Cause string
	// Next is when factro is asked again; zero of a good end.
	Next time.Time
}

func (a *API) changed(c Change) {
	if a.cfg.Changed != nil {
		a.cfg.Changed(c)
	}
}

// tellKey tells people the new state of the key.
func (a *API) tellKey(ctx context.Context, was, is keyState) {
	since, next := a.gate.badKeySince()
	switch {
	case was == is:
	case is == keyMissing:
		_, err := a.secret.Get()
		a.log.ErrorContext(ctx, "there is no API key to call factro with; the cloud is paused and its commands wait", "cloud", a.cfg.Cloud, "error", err)
		a.changed(Change{What: KeyRefused, Since: since, Cause: noKey, Next: next})
	case is == keyRefused:
		a.log.ErrorContext(ctx, "factro does not accept the API key; the cloud is paused and its commands wait", "cloud", a.cfg.Cloud)
		a.changed(Change{What: KeyRefused, Since: since, Cause: deferral["unauthorized"], Next: next})
	default:
		a.log.InfoContext(ctx, "factro accepts the API key; the cloud is no longer paused", "cloud", a.cfg.Cloud)
		a.changed(Change{What: KeyAccepted, Since: since})
	}
}

// badKeySince says since when the key is or was bad, and when factro is asked about it again.
func (g *gate) badKeySince() (since, next time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.badSince, g.probeAt
}

// reportChanges tells people once that factro fails, with the cause, and once that it is well again.
func (a *API) reportChanges(ctx context.Context) {
	for _, t := range a.gate.untold() {
		if t.down {
			a.log.WarnContext(ctx, "factro cannot be reached or fails; what is for it waits", "cloud", a.cfg.Cloud, "error", t.cause,
				"next_attempt", clockTime(t.next))
			a.changed(Change{What: Opened, Since: t.since, Cause: t.cause, Next: t.next})
			continue
		}
		a.log.InfoContext(ctx, "factro answers again", "cloud", a.cfg.Cloud, "after", t.after.Round(time.Second).String())
		a.changed(Change{What: Closed, Since: t.since})
	}
}
