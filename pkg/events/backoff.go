package events

import (
	"math/rand/v2"
	"time"
)

// backoff grows from a quarter of a second to half a minute, with jitter so that many do not come back together.
func backoff(failures int) time.Duration {
	d := min(250*time.Millisecond<<min(failures, 10), 30*time.Second)
	return d/2 + rand.N(d/2)
}
