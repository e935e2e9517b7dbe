package coreapi

import (
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// gate is what stands between us and factro: the breaker, the request budget, and a key that is no longer accepted. The
// worker passes it before it pulls a command and before each call; a query that it stops is answered at once.
type gate struct {
	breaker *gobreaker.CircuitBreaker[Answer]

	mu        sync.Mutex
	openUntil time.Time     // while the breaker is open: when it will take a probe
	budgetAt  time.Time     // nothing may be called before this time
	restAt    time.Time     // the same, since an answer that was a failure asked for it
	savedAt   time.Time     // no query may be made before this time: few requests remain
	left      int           // requests that remained of factro's budget by its last answer
	leftUntil time.Time     // when that is over
	budgetOf  time.Time     // since when nothing may be called before budgetAt
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

func newGate(cloud string) *gate {
	g := &gate{}
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
	return g.learnFrom(j, a, key, true)
}

// learnFrom is learn for an answer to a call that may be such that its failure says nothing about other calls: only a
// gateway's wish to be left alone counts then.
func (g *gate) learnFrom(j Judgement, a Answer, key secret.String, counts bool) (was, is keyState) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	was = g.keyState()
	defer func() { is = g.keyState() }()
	switch j {
	case Unauthorized:
		if !g.isBad || (g.badKey == "") != (key == "") {
			g.badSince = now
		}
		g.isBad, g.badKey, g.probeAt = true, key, now.Add(probeEvery)
	case Throttled:
		g.spent(now, now.Add(factro.RetryAfter(a.Header, now)))
	case Done, Refused:
		g.isBad, g.badKey, g.restAt = false, "", time.Time{}
	case Failed, Unknown:
		if a.Header.Get("Retry-After") != "" && (counts || gateway(a.Status)) {
			if !g.restAt.After(now) {
				g.restOf = now
			}
			g.restAt = now.Add(min(factro.RetryAfter(a.Header, now), maxRest))
		}
	}
	b, ok := factro.BudgetOf(a.Header)
	if !ok || b.Reset > maxWindow {
		return was, is
	}
	reset := now.Add(min(max(b.Reset, time.Second), time.Minute))
	if b.Remaining == 0 && j != Throttled {
		g.spent(now, reset)
	}
	g.left, g.leftUntil = b.Remaining, reset
	g.savedAt = time.Time{}
	if b.Remaining < fewRemain(b.Quota) {
		g.savedAt = reset
	}
	return was, is
}

// spent notes that nothing may be called before a time. It is called under the lock.
func (g *gate) spent(now, until time.Time) {
	if !g.budgetAt.After(now) {
		g.budgetOf = now
	}
	g.budgetAt = until
}

// fewRemain is how many requests of factro's budget are left to the commands: a tenth of it, or 50 of one that the
// answer does not tell, which is a tenth of the 500 that are known of (one source). One that is larger than anybody may
// configure is not believed: it would keep the queries waiting.
func fewRemain(quota int) int {
	if quota == 0 || quota > maxPerMinute {
		return 50
	}
	return quota / 10
}

// saved returns until when what remains of factro's budget is for commands only.
func (g *gate) saved() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.savedAt
}

// remaining is what is left of factro's budget, as far as it told.
func (g *gate) remaining(now time.Time) (n int, known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.left, now.Before(g.leftUntil)
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
