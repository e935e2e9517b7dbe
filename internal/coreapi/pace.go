package coreapi

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// pace shares the request budget that we allow ourselves between the commands and the queries of a cloud.
//
// Commands take from the bucket as they come. Queries leave the lower half of the bucket alone and come one after the
// other, so a command never waits for a token because of them; they get what commands leave over, which is everything
// while there are none. The bucket holds at least two, so that there is a half to leave alone.
type pace struct {
	bucket  *rate.Limiter
	reserve float64       // tokens that queries leave in the bucket
	slot    chan struct{} // has a place for the query whose turn it is; channels serve in the order of arrival
}

func newPace(perMinute int) *pace {
	// The burst is small beside the budget, so that no minute, wherever it begins, sees more than budget and burst.
	burst := max(2, perMinute/30)
	return &pace{
		bucket:  rate.NewLimiter(rate.Limit(float64(perMinute)/60), burst),
		reserve: float64(burst / 2), slot: make(chan struct{}, 1),
	}
}

// Wait takes a token for a command, as soon as there is one.
func (p *pace) Wait(ctx context.Context) error { return p.bucket.Wait(ctx) }

// lookAgain is how soon a query that found too few tokens looks again, at the earliest.
const lookAgain = 10 * time.Millisecond

// missing is how long it takes until commands can spare a token, if none of them comes meanwhile; not above 0 if they can.
func (p *pace) missing(now time.Time) time.Duration {
	tokens := p.reserve + 1 - p.bucket.TokensAt(now)
	return time.Duration(tokens / float64(p.bucket.Limit()) * float64(time.Second))
}

// waitBehind takes a token for a query, as soon as commands can spare one. While saved says that the budget is kept for
// commands until a time, it takes none.
func (p *pace) waitBehind(ctx context.Context, saved func() time.Time) error {
	select {
	case p.slot <- struct{}{}:
		defer func() { <-p.slot }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for ctx.Err() == nil {
		now := time.Now()
		wait := saved().Sub(now)
		if wait <= 0 {
			wait = p.missing(now)
			// A command may come between the look and the taking, and then there may be none left.
			if wait <= 0 && p.bucket.AllowN(now, 1) {
				return nil
			}
		}
		if err := Sleep(ctx, max(wait, lookAgain)); err != nil {
			return err
		}
	}
	return ctx.Err()
}
