package coreapi

import (
	"time"

	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

var deferral = map[string]string{
	events.CodeThrottled:    "factro's request budget is used up for now",
	events.CodeUnauthorized: "factro does not accept the API key; an operator has to renew it",
	events.CodeUnavailable:  "factro fails or cannot be reached",
}

// noKey is the deferral for a key that factro never saw.
const noKey = "the bridge has no API key: its file cannot be read or holds none; an operator has to provide it"

// Obstacle returns why and until when nothing may be called now; the zero value if the way is free.
type Obstacle struct {
	Code  string
	Until time.Time
	noKey bool // of CodeUnauthorized: there is no key that factro could refuse
}

func (g *gate) obstacle(now time.Time, key secret.String) Obstacle {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch _, spentUntil := g.budget.Spent(key); {
	case spentUntil.After(now):
		return Obstacle{Code: events.CodeThrottled, Until: spentUntil}
	case g.isBad && g.badKey == key && g.probeAt.After(now):
		return Obstacle{Code: events.CodeUnauthorized, Until: g.probeAt, noKey: key == ""}
	case g.openUntil.After(now), g.restAt.After(now):
		until := g.openUntil
		if until.Before(g.restAt) {
			until = g.restAt
		}
		return Obstacle{Code: events.CodeUnavailable, Until: until}
	}
	return Obstacle{}
}

// Message is how an obstacle is described to whoever waits for it. It names no file of this machine.
func (o Obstacle) Message() string {
	if o.noKey {
		return noKey
	}
	return deferral[o.Code]
}
