package egress

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// gate is what stands between us and factro: the breaker, the request budget, and a key that is no longer accepted. The
// worker passes it before it pulls a command and before each call.
type gate struct {
	breaker *gobreaker.CircuitBreaker[answer]

	mu        sync.Mutex
	openUntil time.Time     // while the breaker is open: when it will take a probe
	budgetAt  time.Time     // nothing may be called before this time
	isBad     bool          // whether factro refused the key, or there is none
	badKey    secret.String // that key
	probeAt   time.Time     // while the key is bad: when to ask again
}

// Errors by which the breaker tells the answers apart.
var (
	errUnhealthy = errors.New("factro fails")
	errNeutral   = errors.New("no sign of health or failure")
)

func newGate(cloud string) *gate {
	g := &gate{}
	g.breaker = gobreaker.NewCircuitBreaker[answer](gobreaker.Settings{
		Name: cloud, MaxRequests: 1, Interval: 30 * time.Second, BucketPeriod: 3 * time.Second, Timeout: openFor,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			answered := c.TotalSuccesses + c.TotalFailures // c.Requests also counts calls in flight
			return c.ConsecutiveFailures >= 5 || answered >= 20 && c.TotalFailures*2 >= answered
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNeutral) },
		OnStateChange: func(_ string, _, to gobreaker.State) { // under the breaker's lock: it must not be asked anything
			g.mu.Lock()
			defer g.mu.Unlock()
			g.openUntil = time.Time{}
			if to == gobreaker.StateOpen {
				g.openUntil = time.Now().Add(openFor + time.Millisecond) // the breaker wants its time to be over, not just up
			}
		},
	})
	return g
}

// obstacle returns why and until when nothing may be called now; the zero value if the way is free.
type obstacle struct {
	code  string
	until time.Time
}

func (g *gate) obstacle(now time.Time, key secret.String) obstacle {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.budgetAt.After(now):
		return obstacle{events.CodeThrottled, g.budgetAt}
	case g.isBad && g.badKey == key && g.probeAt.After(now):
		return obstacle{events.CodeUnauthorized, g.probeAt}
	case g.openUntil.After(now):
		return obstacle{events.CodeUnavailable, g.openUntil}
	}
	return obstacle{}
}

// learn takes from an answer what it says about the next one.
func (g *gate) learn(j judgement, a answer, key secret.String) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	switch j {
	case unauthorized:
		g.isBad, g.badKey, g.probeAt = true, key, now.Add(probeEvery)
	case throttled:
		g.budgetAt = now.Add(factro.RetryAfter(a.header, now))
	case done, refused:
		g.isBad, g.badKey = false, ""
	case failed, unknown:
	}
	if b, ok := factro.BudgetOf(a.header); ok && b.Remaining == 0 && j != throttled {
		g.budgetAt = now.Add(min(max(b.Reset, time.Second), time.Minute))
	}
}

// paused says whether the key is known to be bad.
func (g *gate) paused() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.isBad
}

// pass waits until a call may be made. While factro is failing or refuses the key, a cheap read finds out whether it is
// well again: nobody's command is used for that. told hears once of a wait that is worth telling.
func (w *Worker) pass(ctx context.Context, told func(obstacle)) error {
	for {
		key := w.key(ctx)
		now := time.Now()
		if o := w.gate.obstacle(now, key); o.code != "" {
			if told != nil && o.until.Sub(now) >= deferAfter {
				told(o)
				told = nil
			}
			wait := o.until.Sub(now)
			if o.code == events.CodeUnauthorized {
				wait = min(wait, keyLookEvery)
			}
			if err := sleep(ctx, wait); err != nil {
				return err
			}
			continue
		}
		if key == "" { // to ask without a key would only be refused
			w.gate.learn(unauthorized, answer{}, key)
			continue
		}
		if !w.gate.paused() && w.gate.breaker.State() == gobreaker.StateClosed {
			return ctx.Err()
		}
		if err := w.pace.Wait(ctx); err != nil {
			return err
		}
		a, j := w.call(ctx, probe, translate.Call{Method: probe.Method, Target: probe.Path}, key, 1)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(a.err, errOpen) { // its clock is a little behind ours
			if err := sleep(ctx, 10*time.Millisecond); err != nil {
				return err
			}
			continue
		}
		if !healthy(j) {
			w.log.InfoContext(ctx, "factro still fails", "cloud", w.cfg.Cloud, "status", a.status)
			if w.gate.paused() { // the breaker alone would let the next probe follow at once
				w.gate.learn(unauthorized, a, key)
			}
		}
	}
}

// probe is the cheap read: a handful of counters.
var probe = func() factro.Operation {
	op, ok := factro.Lookup("getUserQuota")
	if !ok {
		panic("egress: the table of operations has no getUserQuota")
	}
	return op
}()

// call makes one call through the breaker and learns from the answer.
func (w *Worker) call(ctx context.Context, op factro.Operation, c translate.Call, key secret.String, number int) (answer, judgement) {
	var a answer
	var j judgement
	_, err := w.gate.breaker.Execute(func() (answer, error) {
		a = w.client.do(ctx, key, attempt{op, number, w.gate.breaker.State().String()}, c)
		j = judge(op, a)
		switch {
		case ctx.Err() != nil && a.err != nil, j == throttled:
			return a, errNeutral
		case !healthy(j):
			return a, errUnhealthy
		}
		return a, nil
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return answer{err: errOpen, unsent: true}, failed
	}
	w.learn(ctx, op, a, j, key)
	return a, j
}

// learn passes the answer on to the gate, and tells the operator when the key stops or starts to be accepted.
func (w *Worker) learn(ctx context.Context, op factro.Operation, a answer, j judgement, key secret.String) {
	was := w.gate.paused()
	w.gate.learn(j, a, key)
	is := w.gate.paused()
	switch {
	case is && !was:
		w.log.ErrorContext(ctx, "factro does not accept the API key; the cloud is paused and its commands wait", "cloud", w.cfg.Cloud)
	case was && !is:
		w.log.InfoContext(ctx, "factro accepts the API key again", "cloud", w.cfg.Cloud)
	}
	if j == throttled {
		w.log.WarnContext(ctx, "factro's request budget is used up", "cloud", w.cfg.Cloud, "wait", factro.RetryAfter(a.header, time.Now()).String())
	}
	w.metrics.called(ctx, op, a)
}

// key returns the API key as it is now. Without one, the last good is tried; factro will say what it thinks of it.
func (w *Worker) key(ctx context.Context) secret.String {
	key, err := w.secret.Get()
	if err != nil {
		if !w.keyFailed.Swap(true) {
			w.log.ErrorContext(ctx, "the API key cannot be read", "cloud", w.cfg.Cloud, "error", err)
		}
		return key
	}
	w.keyFailed.Store(false)
	return key
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
