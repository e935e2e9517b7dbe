package egress

import (
	"math/rand/v2"
	"time"
)

// backoff grows from half a second to half a minute, with jitter.
func backoff(attempt int) time.Duration {
	d := min(500*time.Millisecond<<min(attempt-1, 10), 30*time.Second)
	return d/2 + rand.N(d/2)
}
