package budget

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestDrift: windows begin with whatever request comes first, so they drift. With calls of any length, any number at once and any
// pause between, nothing is refused, whatever is not known of factro.
func TestDrift(t *testing.T) {
	t.Parallel()
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 3))
				l := newTestLimiter(20 + random.IntN(600))
				l.down, l.at = seed%2 == 0, []float64{0, 0.5, 1}[seed%3]
				l.latency = time.Duration(5+random.IntN(1500)) * time.Millisecond
				l.jitter = l.latency
				s := NewPool().Share(siteURL, Limits{Reserve: 0.05})
				calls := 0
				for range 40 {
					n := 1 + random.IntN(l.quota)
					calls += n
					if refused := l.work(t, s, "key", n, 1+random.IntN(16)); refused > 0 {
						t.Errorf("%d of %d were refused after %d calls: %+v", refused, n, calls, l)
						return
					}
					time.Sleep(time.Duration(random.Int64N(int64(90 * time.Second)))) //nolint:forbidigo // in a bubble
				}
			})
		})
	}
}

// TestClockJumps: when factro's clock is set, or the machine of the bridge has slept, the next answers set things right.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	for name, jump := range map[string]time.Duration{
		"a little ahead": 7 * time.Second, "a little back": -7 * time.Second, "an hour ahead": time.Hour,
	} {
		for _, down := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, down %t", name, down), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					l := newTestLimiter(500)
					l.latency, l.down = 250*time.Millisecond, down
					s := NewPool().Share(siteURL, Limits{Reserve: 0.05})
					began := time.Now()
					refused := l.work(t, s, "key", 1700, 8) // into the fourth window
					l.mu.Lock()
					l.skew = jump
					l.mu.Unlock()
					refused += l.work(t, s, "key", 1700, 8)
					want := 3400 * time.Minute / 500
					if d := time.Since(began); refused > 1 || d > want*102/100+jump.Abs()%time.Hour {
						t.Errorf("%s, want %s; %d refused", d, want, refused)
					}
				})
			})
		}
	}
}

// TestWithoutHeaders: while answers do not report the budget, the default is spent; when they no longer do, what was known is.
func TestWithoutHeaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newTestLimiter(500)
		l.latency, l.bare = 250*time.Millisecond, true
		s := NewPool().Share(siteURL, Limits{})
		began := time.Now()
		if refused := l.work(t, s, "key", 960, 8); refused > 0 || time.Since(began) < 110*time.Second || time.Since(began) > 2*time.Minute {
			t.Errorf("%s for 960 calls, %d refused", time.Since(began), refused)
		}
		l.bare = false
		l.work(t, s, "key", 500, 8)
		l.bare = true
		began = time.Now()
		if refused := l.work(t, s, "key", 2000, 8); refused > 0 || time.Since(began) > 245*time.Second {
			t.Errorf("%s for 2000 calls, %d refused", time.Since(began), refused)
		}
		if st := s.State("key"); st.Known || st.Kind != ByKey || st.Allowed != 500 {
			t.Errorf("it is said to be %+v", st)
		}
	})
}

// TestOldAnswers: an answer that comes after the next window has begun changes nothing about that one.
func TestOldAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShare(0)
		policy := `"x"; q=500; w=60`
		s.answers(header(`"x"; r=100; t=5`, policy), false)
		old := s.Begin("key")
		time.Sleep(7 * time.Second) //nolint:forbidigo // in a bubble
		s.answers(header(`"x"; r=499; t=60`, policy), false)
		old.End(Outcome{Header: header(`"x"; r=0; t=5`, policy)})
		if st := s.State("key"); !st.Known || st.Remaining != 499 || st.InFlight != 0 {
			t.Errorf("it is %+v", st)
		}
		// Answers that overtake each other: the lowest count is true.
		a, b := s.Begin("key"), s.Begin("key")
		time.Sleep(time.Second) //nolint:forbidigo // in a bubble
		b.End(Outcome{Header: header(`"x"; r=300; t=59`, policy)})
		a.End(Outcome{Header: header(`"x"; r=301; t=59`, policy)})
		if st := s.State("key"); st.Remaining != 300 {
			t.Errorf("it is %+v", st)
		}
		// A request that was sent later may show more, if failures are taken out of the count again.
		time.Sleep(time.Second) //nolint:forbidigo // in a bubble
		s.answers(header(`"x"; r=305; t=57`, policy), false)
		if st := s.State("key"); st.Remaining != 305 {
			t.Errorf("it is %+v", st)
		}
	})
}

// TestRounding: from a request that begins a window it is seen how factro rounds, and then the end of a window is known better.
func TestRounding(t *testing.T) {
	t.Parallel()
	for _, down := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := newTestLimiter(500)
			l.latency, l.at, l.down = 100*time.Millisecond, 0.5, down
			s := NewPool().Share(siteURL, Limits{})
			l.work(t, s, "key", 100, 8)
			p := s.current
			w := &p.window
			if w.notDown == down || w.notUp != down {
				t.Errorf("rounds down: %t; excluded are up %t, down %t", down, w.notUp, w.notDown)
			}
			ends, known := l.ends["key"], w.end()
			if known.lo.After(ends) || known.hi.Before(ends) || known.hi.Sub(known.lo) > 200*time.Millisecond {
				t.Errorf("the window ends at %s, known is %s to %s", ends, known.lo, known.hi)
			}
		})
	}
}

// TestLostAnswers: calls without an answer count as made, until an answer shows otherwise.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShare(0)
		s.answers(header(`"x"; r=10; t=50`), false)
		for range 4 {
			s.Begin("key").End(Outcome{})
		}
		s.Begin("key").End(Outcome{Header: http.Header{"Retry-After": {"1"}}})
		if st := s.State("key"); st.Remaining != 5 {
			t.Errorf("%d remain, want 5", st.Remaining)
		}
		time.Sleep(time.Second) //nolint:forbidigo // in a bubble
		s.answers(header(`"x"; r=9; t=49`), false)
		if st := s.State("key"); st.Remaining != 9 {
			t.Errorf("%d remain, want 9", st.Remaining)
		}
	})
}
