package budget

import (
	"net/http"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// maxWindow is the longest window of a request budget that is believed. factro's is a minute (one source).
const maxWindow = time.Hour

// Learn takes from an answer what it says of factro's budget. refused tells that the call was refused since the budget is used up.
func (b *Budget) Learn(h http.Header, refused bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if refused {
		b.spend(now, now.Add(factro.RetryAfter(h, now)))
	}
	known, ok := factro.BudgetOf(h)
	if !ok || known.Reset > maxWindow {
		return
	}
	reset := now.Add(min(max(known.Reset, time.Second), time.Minute))
	if known.Remaining == 0 && !refused {
		b.spend(now, reset)
	}
	b.left, b.leftUntil = known.Remaining, reset
	b.savedUntil = time.Time{}
	if known.Remaining < fewRemain(known.Quota) {
		b.savedUntil = reset
	}
}

// spend notes that nothing may be called before a time. It is called under the lock.
func (b *Budget) spend(now, until time.Time) {
	if !b.spentUntil.After(now) {
		b.spentSince = now
	}
	b.spentUntil = until
}

// fewRemain is how many requests of factro's budget are left to the commands: a tenth of it, or 50 of one that the
// answer does not tell, which is a tenth of the 500 that are known of (one source). One that is larger than anybody may
// configure is not believed: it would keep the queries waiting.
func fewRemain(quota int) int {
	if quota == 0 || quota > MaxPerMinute {
		return 50
	}
	return quota / 10
}

// Spent says since when factro's budget is used up, and before which time nothing may be called; that may have passed.
func (b *Budget) Spent() (since, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spentSince, b.spentUntil
}

// saved returns until when what remains of factro's budget is for commands only.
func (b *Budget) saved() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.savedUntil
}

// Remaining is what is left of factro's budget, as far as it known.
func (b *Budget) Remaining(now time.Time) (n int, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left, now.Before(b.leftUntil)
}
