package coreapi

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/budget"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Pass waits until a call may be made. While factro is failing or refuses the key, a cheap read finds out whether it is
// well again: nobody's command is used for that. report hears once of a wait that is worth reporting.
func (a *API) Pass(ctx context.Context, report func(Obstacle)) error {
	for {
		key := a.Key()
		now := time.Now()
		if o := a.gate.obstacle(now, key); o.Code != "" {
			if report != nil && o.Until.Sub(now) >= deferAfter {
				report(o)
				report = nil
			}
			wait := o.Until.Sub(now)
			if o.Code != events.CodeUnavailable { // another key may be all that it takes
				wait = min(wait, keyLookEvery)
			}
			if err := Sleep(ctx, wait); err != nil {
				return err
			}
			continue
		}
		if key == "" { // to ask without a key would only be refused
			a.withoutKey(ctx)
			continue
		}
		if a.gate.open() {
			return ctx.Err()
		}
		if err := a.probeOnce(ctx); err != nil {
			return err
		}
	}
}

// probeOnce asks factro whether it is well again, unless somebody else does so: of all that wait, one asks.
func (a *API) probeOnce(ctx context.Context) error {
	select {
	case a.probes <- struct{}{}:
		defer func() { <-a.probes }()
	default:
		return Sleep(ctx, probeLook)
	}
	if err := a.budget.Take(ctx, budget.Commands, a.Key); err != nil {
		return err
	}
	key := a.Key()
	if key == "" || a.gate.open() || a.gate.obstacle(time.Now(), key).Code != "" { // it has changed meanwhile
		a.budget.GiveBack()
		return ctx.Err()
	}
	_, closed := a.probe(ctx, key)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if closed { // its clock is a little behind ours
		return Sleep(ctx, probeLook)
	}
	return nil
}

// Clear says whether a call could be made at once, without asking anybody.
func (a *API) Clear() bool {
	return a.gate.open() && a.gate.obstacle(time.Now(), a.Key()).Code == ""
}

// AwaitSlot waits until a call may be made for a command: until nothing is in the way, and for its share of the budget.
// report hears once of a wait that is worth reporting.
func (a *API) AwaitSlot(ctx context.Context, report func(Obstacle)) error {
	once := report
	if report != nil {
		once = func(o Obstacle) {
			report(o)
			report = nil
		}
	}
	for {
		if report == nil {
			once = nil
		}
		if err := a.Pass(ctx, once); err != nil {
			return err
		}
		if err := a.budget.Take(ctx, budget.Commands, a.Key); err != nil {
			return err
		}
		if a.Clear() {
			return nil
		}
		a.budget.GiveBack() // the way was closed meanwhile
	}
}

// Forgo gives back a request that AwaitSlot or Acquire has let through, for a call that is not made after all.
func (a *API) Forgo() { a.budget.GiveBack() }

// Estimate is how long it takes until so many more commands can be called, behind those that wait for a request now. It does not
// count the time for which factro fails or refuses the key.
func (a *API) Estimate(n int) time.Duration { return a.budget.Estimate(n, a.Key()) }

// Probe is the cheap read: a handful of counters.
var Probe = func() factro.Operation {
	op, ok := factro.Lookup("getUserQuota")
	if !ok {
		panic("egress: the table of operations has no getUserQuota")
	}
	return op
}()

// learn passes the answer on to the gate, and tells the operator when the key stops or starts to be accepted.
func (a *API) learn(ctx context.Context, try Attempt, got Answer, j Judgement, key secret.String) {
	a.observe(ctx, got.Header)
	was, is := a.gate.learn(j, got, key)
	a.tellKey(ctx, was, is)
	if j == Throttled {
		a.log.WarnContext(ctx, "factro's request budget is used up", "cloud", a.cfg.Cloud, "wait", factro.RetryAfter(got.Header, time.Now()).String())
	}
	a.calls.add(ctx, try.Op, got)
}

// spent tells the budget how a call ended, and the operator what factro counts by, once that is known.
func (a *API) spent(ctx context.Context, call *budget.Call, got Answer, j Judgement) {
	found := call.End(budget.Outcome{Header: got.Header, Unsent: got.Unsent, Refused: j == Throttled, Theirs: a.gate.theirs(time.Now())})
	if found.News {
		a.log.InfoContext(ctx, "factro's answers show what it counts requests by", "cloud", a.cfg.Cloud, "partition", string(found.Kind))
	}
}

// withoutKey notes that there is no key to call factro with.
func (a *API) withoutKey(ctx context.Context) {
	was, is := a.gate.learn(Unauthorized, Answer{}, "")
	a.tellKey(ctx, was, is)
}

// tellKey tells the operator the new state of the key.
func (a *API) tellKey(ctx context.Context, was, is keyState) {
	switch {
	case was == is:
	case is == keyMissing:
		_, err := a.secret.Get()
		a.log.ErrorContext(ctx, "there is no API key to call factro with; the cloud is paused and its commands wait", "cloud", a.cfg.Cloud, "error", err)
	case is == keyRefused:
		a.log.ErrorContext(ctx, "factro does not accept the API key; the cloud is paused and its commands wait", "cloud", a.cfg.Cloud)
	default:
		a.log.InfoContext(ctx, "factro accepts the API key; the cloud is no longer paused", "cloud", a.cfg.Cloud)
	}
}

// reportChanges tells the operator once that factro fails, with the cause, and once that it is well again.
func (a *API) reportChanges(ctx context.Context) {
	for _, t := range a.gate.untold() {
		if t.down {
			a.log.WarnContext(ctx, "factro cannot be reached or fails; what is for it waits", "cloud", a.cfg.Cloud, "error", t.cause,
				"next_attempt", clockTime(t.next))
			continue
		}
		a.log.InfoContext(ctx, "factro answers again", "cloud", a.cfg.Cloud, "after", t.after.Round(time.Second).String())
	}
}

// observe takes the time of an answer, and tells the operator of one that cannot be.
func (a *API) observe(ctx context.Context, h http.Header) {
	off, far, warn := a.clock.learn(h, time.Now())
	if far {
		a.calls.disbelieved.Add(ctx, 1, metric.WithAttributes(a.calls.cloud))
	}
	if warn {
		a.log.WarnContext(ctx, "factro's clock and ours are too far apart; ours is used. Check the time of this machine",
			"cloud", a.cfg.Cloud, "ahead", off.Round(time.Second).String(), "most", maxAhead.String())
	}
}

// Key returns the API key as it is now, or the last good one; factro will say what it thinks of it. It is empty if there
// never was a good one.
func (a *API) Key() secret.String {
	key, _ := a.secret.Get() // an error is logged by lastgood
	return key
}

// Sleep waits for a time, or until ctx ends.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
