package coreapi

import (
	"context"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/budget"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Acquire lets a query through to factro, or tells what is in its way and until when. It waits for its share of the budget
// for a bounded time, and never for a closed gate.
func (a *API) Acquire(ctx context.Context) (secret.String, Obstacle) {
	return a.AcquireFor(ctx, budget.Queries)
}

// AcquireFor is Acquire for a call of another class than a query.
func (a *API) AcquireFor(ctx context.Context, class budget.Class) (secret.String, Obstacle) {
	key, o := a.knock(ctx)
	if o.Code != "" {
		return "", o
	}
	if o := a.share(ctx, class); o.Code != "" {
		return "", o
	}
	if o := a.gate.obstacle(time.Now(), key); o.Code != "" { // it has closed meanwhile
		a.budget.GiveBack()
		return key, o
	}
	return key, Obstacle{}
}

// Obstacle is what keeps a call with this key from being made now.
func (a *API) Obstacle(key secret.String) Obstacle { return a.gate.obstacle(time.Now(), key) }

// share takes a request that commands can spare.
func (a *API) share(ctx context.Context, class budget.Class) Obstacle {
	if again, ok := a.budget.TakeWithin(ctx, class, a.Key); !ok {
		return Obstacle{Code: events.CodeThrottled, Until: again}
	}
	return Obstacle{}
}

// knock finds out whether the gate is open. If that can only be known by asking factro, one query does so by a probe, and
// the others have to come again: nobody's query is the probe either.
func (a *API) knock(ctx context.Context) (secret.String, Obstacle) {
	key := a.Key()
	if key == "" {
		a.withoutKey(ctx)
	}
	if o := a.gate.obstacle(time.Now(), key); o.Code != "" {
		return "", o
	}
	if a.gate.open() {
		return key, Obstacle{}
	}
	why := Obstacle{Code: events.CodeUnavailable, Until: time.Now().Add(time.Second)}
	if state := a.gate.key(); state != keyGood {
		why.Code, why.noKey = events.CodeUnauthorized, state == keyMissing
	}
	select {
	case a.probes <- struct{}{}:
	default:
		return "", why
	}
	if a.probeFor(ctx, key) {
		return key, Obstacle{}
	}
	if o := a.gate.obstacle(time.Now(), key); o.Code != "" {
		return "", o
	}
	return "", why
}

// probeFor makes the probe that a query needs and gives the place in probes back. It does not wait for a factro that
// hangs as long as the probe does, which goes on without it: its outcome is for the breaker.
func (a *API) probeFor(ctx context.Context, key secret.String) bool {
	answered := make(chan bool, 1)
	go func(ctx context.Context) { // ends with the call's timeout
		defer func() { <-a.probes }()
		if a.share(ctx, budget.Queries).Code != "" {
			answered <- false
			return
		}
		well, _ := a.probe(ctx, key)
		answered <- well
	}(context.WithoutCancel(ctx))
	ctx, cancel := context.WithTimeout(ctx, budget.QueryWait)
	defer cancel()
	select {
	case well := <-answered:
		return well
	case <-ctx.Done():
		return false
	}
}
