package budget

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// limiter counts as express-rate-limit does: a fixed window for each partition, which begins with its first request.
type limiter struct {
	quota  int
	window time.Duration
	// down rounds the seconds until the reset down, bare leaves out the headers of the budget.
	down, bare bool
	// latency is how long a call takes, jitter how much longer at most; at is the part of it after which the request is counted.
	latency, jitter time.Duration
	at              float64
	// address counts all keys together.
	address bool
	// skew is added to the limiter's clock.
	skew time.Duration

	mu      sync.Mutex
	random  *rand.Rand
	ends    map[string]time.Time
	used    map[string]int
	ours    map[string]int // of this window
	windows []record
	refused int
}

// record is a window that is over.
type record struct{ ours, others, refused int }

func newTestLimiter(quota int) *limiter {
	return &limiter{
		quota: quota, window: time.Minute, random: rand.New(rand.NewPCG(1, 2)),
		ends: map[string]time.Time{}, used: map[string]int{}, ours: map[string]int{},
	}
}

// count counts one request and returns the answer's status and headers.
func (l *limiter) count(key string, own bool) (int, http.Header) {
	l.mu.Lock()
	defer l.mu.Unlock()
	part := key
	if l.address {
		part = "192.0.2.1"
	}
	now := time.Now().Add(l.skew)
	if !now.Before(l.ends[part]) {
		if !l.ends[part].IsZero() {
			l.windows = append(l.windows, record{ours: l.ours[part], others: min(l.used[part], l.quota) - l.ours[part], refused: l.refused})
		}
		l.ends[part], l.used[part], l.ours[part], l.refused = now.Add(l.window), 0, 0, 0
	}
	l.used[part]++
	status := http.StatusOK
	switch {
	case l.used[part] > l.quota:
		status = http.StatusTooManyRequests
		if own {
			l.refused++
		}
	case own:
		l.ours[part]++
	}
	h := http.Header{}
	rest := l.ends[part].Sub(now)
	seconds := int((rest + time.Second - 1) / time.Second)
	if status == http.StatusTooManyRequests {
		h.Set("Retry-After", strconv.Itoa(seconds))
	}
	if l.down {
		seconds = int(rest / time.Second)
	}
	if !l.bare {
		h.Set("RateLimit", fmt.Sprintf(`"x"; r=%d; t=%d`, max(0, l.quota-l.used[part]), seconds))
		h.Set("RateLimit-Policy", fmt.Sprintf(`"x"; q=%d; w=%d; pk=:%s:`, l.quota, int(l.window/time.Second), factro.PartitionOf(part)[0]))
	}
	return status, h
}

// call makes one call with a request that was taken for it.
func (l *limiter) call(s *Share, key secret.String) int {
	c := s.Begin(key)
	d := l.latency
	if l.jitter > 0 {
		l.mu.Lock()
		d += time.Duration(l.random.Int64N(int64(l.jitter)))
		l.mu.Unlock()
	}
	before := time.Duration(float64(d) * l.at)
	time.Sleep(before) //nolint:forbidigo // in a bubble
	status, h := l.count(key.Reveal(), true)
	time.Sleep(d - before) //nolint:forbidigo // in a bubble
	now := time.Now()
	c.End(Outcome{Header: h, Refused: status == http.StatusTooManyRequests, Theirs: now})
	return status
}

func always(key secret.String) func() secret.String { return func() secret.String { return key } }

// work makes so many calls, some at once, and returns how many were refused.
func (l *limiter) work(t *testing.T, s *Share, key secret.String, calls, atOnce int) (refused int) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for {
				mu.Lock()
				if calls == 0 {
					mu.Unlock()
					return
				}
				calls--
				mu.Unlock()
				if err := s.Take(t.Context(), Commands, always(key)); err != nil {
					t.Error(err)
					return
				}
				if l.call(s, key) == http.StatusTooManyRequests {
					mu.Lock()
					refused++
					calls++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return refused
}
