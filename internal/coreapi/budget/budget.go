package budget

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// MaxPerMinute is the largest budget that can be configured, or is believed.
	MaxPerMinute = 100_000
	// QueryWait bounds how long a query waits for its share. It is below the five seconds that the nats command waits for an
	// answer: a requester who hears to come later knows more than one who heard nothing.
	QueryWait = 4 * time.Second
	// lookAgain is how soon a query that found too few tokens looks again, at the earliest.
	lookAgain = 10 * time.Millisecond
)

// Budget is the request budget of one cloud: the one that we allow ourselves, and what factro reported of its own.
//
// Commands take from the bucket as they come. Queries leave the lower half of the bucket alone and come one after the
// other, so a command never waits for a token because of them; they get what commands leave over, which is everything
// while there are none. The bucket holds at least two, so that there is a half to leave alone.
type Budget struct {
	bucket  *rate.Limiter
	reserve float64       // tokens that queries leave in the bucket
	slot    chan struct{} // has a place for the query whose turn it is; channels serve in the order of arrival

	mu         sync.Mutex
	spentSince time.Time // since when nothing may be called before spentUntil
	spentUntil time.Time // nothing may be called before this time
	savedUntil time.Time // no query may be made before this time: few requests remain
	left       int       // requests that remained of factro's budget by its last answer
	leftUntil  time.Time // when that is over
}

// New makes a budget of so many requests a minute.
func New(perMinute int) *Budget {
	// The burst is small beside the budget, so that no minute, wherever it begins, sees more than budget and burst.
	burst := max(2, perMinute/30)
	return &Budget{
		bucket:  rate.NewLimiter(rate.Limit(float64(perMinute)/60), burst),
		reserve: float64(burst / 2), slot: make(chan struct{}, 1),
	}
}

// Take takes a request for a command, as soon as there is one.
func (b *Budget) Take(ctx context.Context) error { return b.bucket.Wait(ctx) }

// TakeSpare takes a request for a query, if commands can spare one within QueryWait. Otherwise it says when to come again.
func (b *Budget) TakeSpare(ctx context.Context) (again time.Time, ok bool) {
	ends := time.Now().Add(QueryWait)
	// What will not come within the wait is not waited for.
	if saved := b.saved(); saved.After(ends) {
		return saved, false
	}
	ctx, cancel := context.WithDeadline(ctx, ends)
	defer cancel()
	if b.waitSpare(ctx) == nil {
		return time.Time{}, true
	}
	again, now := b.saved(), time.Now()
	if spare := now.Add(b.missing(now)); again.Before(spare) {
		again = spare
	}
	return again, false
}

// waitSpare takes a request as soon as commands can spare one. While the budget is kept for commands it takes none.
func (b *Budget) waitSpare(ctx context.Context) error {
	select {
	case b.slot <- struct{}{}:
		defer func() { <-b.slot }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for ctx.Err() == nil {
		now := time.Now()
		wait := b.saved().Sub(now)
		if wait <= 0 {
			wait = b.missing(now)
			// A command may come between the look and the taking, and then there may be none left.
			if wait <= 0 && b.bucket.AllowN(now, 1) {
				return nil
			}
		}
		select {
		case <-time.After(max(wait, lookAgain)):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// missing is how long it takes until commands can spare a token, if none of them comes meanwhile; not above 0 if they can.
func (b *Budget) missing(now time.Time) time.Duration {
	tokens := b.reserve + 1 - b.bucket.TokensAt(now)
	return time.Duration(tokens / float64(b.bucket.Limit()) * float64(time.Second))
}
