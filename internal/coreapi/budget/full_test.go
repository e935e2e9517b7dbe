package budget

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestFull: a backlog is worked off in the time that factro's budget allows, and nothing is refused.
func TestFull(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		latency time.Duration
		atOnce  int
	}{{50 * time.Millisecond, 8}, {250 * time.Millisecond, 8}, {time.Second, 12}, {2 * time.Second, 32}} {
		for _, at := range []float64{0, 0.5, 1} {
			for _, down := range []bool{false, true} {
				for _, jitter := range []time.Duration{0, min(test.latency/2, 250*time.Millisecond)} {
					t.Run(fmt.Sprintf("%s at %v, down %t, jitter %s", test.latency, at, down, jitter), func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) {
							l := newTestLimiter(500)
							l.latency, l.at, l.down, l.jitter = test.latency, at, down, jitter
							s := NewPool().Share("http://factro", Limits{Reserve: 0.05})
							began := time.Now()
							const calls, allowed = 5000, 10 * time.Minute
							refused := l.work(t, s, "key", calls, test.atOnce)
							d := time.Since(began)
							if refused > 0 || d > allowed*102/100 {
								t.Errorf("%s for %d calls, %.1f %%, %d refused; %v", d, calls, 100*d.Seconds()/allowed.Seconds(), refused, l.windows)
							}
							t.Logf("%.2f %%", 100*d.Seconds()/allowed.Seconds())
						})
					})
				}
			}
		}
	}
}

// stranger is another program that spends the budget of a key at random, about a share of it, until ctx ends.
func (l *limiter) stranger(ctx context.Context, key string, share float64, burst int, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 7))
	each := l.window.Seconds() / (float64(l.quota) * share)
	for ctx.Err() == nil {
		n := 1
		if burst > 1 {
			n += random.IntN(2*burst - 1)
		}
		time.Sleep(time.Duration(random.ExpFloat64() * each * float64(n) * float64(time.Second))) //nolint:forbidigo // in a bubble
		for range n {
			l.count(key, false)
		}
	}
}

// TestStranger: another program spends a half of the budget at random. What it leaves is used, and at most one request in each
// window is refused.
func TestStranger(t *testing.T) {
	t.Parallel()
	for _, latency := range []time.Duration{50 * time.Millisecond, 250 * time.Millisecond, time.Second} {
		for _, burst := range []int{1, 5, 20} {
			if latency == time.Second && burst == 20 {
				continue // as many at once as come in four calls cannot be foreseen
			}
			for seed := range uint64(4) {
				t.Run(fmt.Sprintf("%s, %d at once, seed %d", latency, burst, seed), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						l := newTestLimiter(500)
						l.latency = latency
						s := NewPool().Share("http://factro", Limits{Reserve: 0.05})
						ctx, end := context.WithCancel(t.Context())
						var other sync.WaitGroup
						other.Go(func() { l.stranger(ctx, "key", 0.5, burst, seed) })
						l.work(t, s, "key", 250*30, 8)
						end()
						other.Wait()
						used, left, twice, once := 0, 0, 0, 0
						for _, w := range l.windows {
							used += w.ours
							left += l.quota - w.others
							if w.refused > 1 {
								twice++
							}
							if w.refused == 1 {
								once++
							}
						}
						part := 100 * float64(used) / float64(left)
						t.Logf("used %.2f %% of what was left; %d windows, one refused in %d, more in %d", part, len(l.windows), once, twice)
						if part < 97 || twice > 0 {
							t.Errorf("used %.1f %%, more than one refused in %d windows: %+v", part, twice, l.windows)
						}
					})
				})
			}
		}
	}
}
