package budget

import "time"

// bucket is a token bucket whose rate may change at any time.
type bucket struct {
	tokens float64
	most   float64 // tokens that it holds
	rate   float64 // tokens a second since at
	at     time.Time
}

// newBucket is a full bucket of so many requests a minute. The burst is small beside the budget, so that no minute, wherever it
// begins, sees more than budget and burst. It holds at least two, so that there is a half that queries leave alone.
func newBucket(perMinute int, now time.Time) *bucket {
	most := burst(perMinute)
	return &bucket{tokens: most, most: most, rate: float64(perMinute) / 60, at: now}
}

func burst(perMinute int) float64 { return float64(max(2, perMinute/30)) }

// fill adds what has come since the last time.
func (b *bucket) fill(now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.tokens = min(b.most, b.tokens+b.rate*d.Seconds())
		b.at = now
	}
}

// due is how long it takes until there are so many tokens; 0 if there are.
func (b *bucket) due(tokens float64) time.Duration {
	missing := tokens - b.tokens
	switch {
	case missing < 1e-6: // less than a rounding makes
		return 0
	case b.rate <= 0:
		return time.Hour
	}
	return min(time.Duration(missing/b.rate*float64(time.Second))+1, time.Hour)
}

// spare is how many tokens there must be for a claim that leaves half of the bucket to commands.
func (b *bucket) spare() float64 { return 1 + float64(int(b.most)/2) }
