package coreapi

import (
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/budget"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// gate is what stands between us and factro: the breaker, the request budget, and a key that is no longer accepted. The
// worker passes it before it pulls a command and before each call; a query that it stops is answered at once.
type gate struct {
	breaker *gobreaker.CircuitBreaker[Answer]
	budget  *budget.Share
	theirs  func(time.Time) time.Time // a time of ours on factro's clock

	mu        sync.Mutex
	openUntil time.Time     // while the breaker is open: when it will take a probe
	restAt    time.Time     // nothing may be called before this time, since an answer asked for it
	restOf    time.Time     // since when nothing may be called before restAt
	isBad     bool          // whether factro refused the key, or there is none
	badSince  time.Time     // since when
	badKey    secret.String // that key
	probeAt   time.Time     // while the key is bad: when to ask again
	cause     string        // why the last call failed that speaks against factro
	reason    string        // the same as a code, with the status that factro answered, or 0
	status    int
	downSince time.Time // while the breaker is not closed: since when
	news      []change  // what nobody has reported yet
}

// change is the breaker's opening after calls that went well, or its closing.
type change struct {
	down  bool
	cause string
	next  time.Time     // when down: when factro is asked again
	after time.Duration // when not: how long it was down
}

// Errors by which the breaker tells the answers apart.
var (
	errUnhealthy = errors.New("factro fails")
	errNeutral   = errors.New("no sign of health or failure")
)

func newGate(cloud string, b *budget.Share) *gate {
	g := &gate{budget: b, theirs: func(now time.Time) time.Time { return now }}
	g.breaker = gobreaker.NewCircuitBreaker[Answer](gobreaker.Settings{
		Name: cloud, MaxRequests: 1, Interval: 30 * time.Second, BucketPeriod: 3 * time.Second, Timeout: openFor,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			answered := c.TotalSuccesses + c.TotalFailures // c.Requests also counts calls in flight
			return c.ConsecutiveFailures >= 5 || answered >= 20 && c.TotalFailures*2 >= answered
		},
		IsExcluded:    func(err error) bool { return errors.Is(err, errNeutral) },
		OnStateChange: func(_ string, _, to gobreaker.State) { g.changed(to, time.Now()) },
	})
	return g
}

// changed notes a new state of the breaker. It runs under the breaker's lock: the breaker must not be asked anything.
func (g *gate) changed(to gobreaker.State, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.openUntil = time.Time{}
	switch {
	case to == gobreaker.StateOpen:
		g.openUntil = now.Add(openFor + time.Millisecond) // the breaker wants its time to be over, not just up
		if g.downSince.IsZero() {
			g.downSince = now
			g.news = append(g.news, change{down: true, cause: g.cause, next: g.openUntil})
		}
	case to == gobreaker.StateClosed && !g.downSince.IsZero():
		g.news = append(g.news, change{after: now.Sub(g.downSince)})
		g.downSince = time.Time{}
	}
}

// fails notes why a call failed, before the breaker hears of it.
func (g *gate) fails(a Answer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cause = a.cause()
	g.reason, g.status = a.reason(), a.Status
}

// untold returns what the breaker did since it was asked last.
func (g *gate) untold() []change {
	g.mu.Lock()
	defer g.mu.Unlock()
	news := g.news
	g.news = nil
	return news
}

// down says since when and why factro counts as failing, and when it is asked again. since is zero if it does not.
func (g *gate) down() (since time.Time, cause string, next time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.downSince, g.cause, g.openUntil
}

// learn takes from an answer what it says about the next one.
func (g *gate) learn(j Judgement, a Answer, key secret.String) (was, is keyState) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	was = g.keyState()
	switch j {
	case Unauthorized:
		if !g.isBad || (g.badKey == "") != (key == "") {
			g.badSince = now
		}
		g.isBad, g.badKey, g.probeAt = true, key, now.Add(probeEvery)
	case Throttled: // the budget has learned it
	case Done, Refused:
		g.isBad, g.badKey = false, ""
	case Failed, Unknown:
	}
	if j != Throttled {
		g.rest(a, j, now)
	}
	return was, g.keyState()
}

// rest notes that an answer, whatever its status, asks to be left alone. A later answer that asks for less does not shorten that. A
// failure with a wish that cannot be read counts as one for a minute. It is called under the lock.
func (g *gate) rest(a Answer, j Judgement, now time.Time) {
	wait, ok := factro.AsksToWait(a.Header, g.theirs(now))
	if !ok && !healthy(j) && a.Header.Get("Retry-After") != "" {
		wait, ok = factro.RetryAfter(a.Header, now), true
	}
	until := now.Add(wait)
	if !ok || !until.After(g.restAt) {
		return
	}
	if !g.restAt.After(now) {
		g.restOf = now
	}
	g.restAt = until
}

// resting says whether nothing at all may be called with this key now, not even a probe.
func (g *gate) resting(now time.Time, key secret.String) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, spentUntil := g.budget.Spent(key)
	return g.restAt.After(now) || spentUntil.After(now)
}

// paused says whether the key is known to be bad.
func (g *gate) paused() bool { return g.key() != keyGood }

// keyState is what is known of the key.
type keyState int

const (
	keyGood    keyState = iota // as far as is known
	keyMissing                 // there is none
	keyRefused                 // factro does not accept it
)

// keyState is called under the lock.
func (g *gate) keyState() keyState {
	switch {
	case !g.isBad:
		return keyGood
	case g.badKey == "":
		return keyMissing
	}
	return keyRefused
}

// key says what is known of the key.
func (g *gate) key() keyState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.keyState()
}

// open says whether the way is free without asking: the key is not known to be bad, the breaker is closed.
func (g *gate) open() bool { return !g.paused() && g.breaker.State() == gobreaker.StateClosed }
