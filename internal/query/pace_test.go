package query

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
)

// longestWait is how long a query waits for its share of the budget.
const longestWait = 4 * time.Second

// flood asks different queries, as many at once as the bus lets through, until ctx ends.
func (x *reading) flood(ctx context.Context) (end func()) {
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				x.r.Query(ctx, getTask(fmt.Sprintf("t-%d-%d", i, n)))
			}
		})
	}
	return all.Wait
}

// TestCommandsFirst: under a flood of queries the commands keep their full rate, from the first one on.
func TestCommandsFirst(t *testing.T) {
	t.Parallel()
	for _, perMinute := range []int{30, 60, 480} {
		t.Run(fmt.Sprint(perMinute), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := newReading(t, apitest.Always(apitest.OK(apitest.Fits)), func(c *coreapi.Config) { c.RequestsPerMinute = perMinute })
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				wait := x.flood(ctx)
				time.Sleep(30 * time.Second) //nolint:forbidigo // in a bubble: the queries have taken what they may
				began := time.Now()
				commands := perMinute
				var slowest time.Duration
				for range commands {
					before := time.Now()
					x.update()
					slowest = max(slowest, time.Since(before))
				}
				// The same number without any queries takes as long, but for the burst that nobody has saved up.
				step := time.Minute / time.Duration(perMinute)
				if d := time.Since(began); d > time.Minute+2*step || slowest > 2*step {
					t.Errorf("%d commands took %s, the slowest %s", commands, d, slowest)
				}
				cancel()
				wait()
			})
		})
	}
}

// TestReserve: a command that comes while queries flood finds a token, and does not wait at all.
func TestReserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newReading(t, apitest.Always(apitest.OK(apitest.Fits)))
		ctx, cancel := context.WithCancel(t.Context())
		wait := x.flood(ctx)
		for range 20 {
			time.Sleep(3 * time.Second) //nolint:forbidigo // in a bubble
			for range 8 {               // half of the burst
				before := time.Now()
				x.update()
				if d := time.Since(before); d != 0 {
					t.Errorf("the command waited %s", d)
				}
			}
		}
		cancel()
		wait()
	})
}

// TestQueriesAlone: without commands, queries get the whole rate, and never more.
func TestQueriesAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newReading(t, apitest.Always(apitest.OK(apitest.Fits)))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		x.flood(ctx)()
		if n := x.Count("call"); n < 470*2 || n > 480*2+16 {
			t.Errorf("%d queries in two minutes, want 960", n)
		}
	})
}

// TestQueryBudgetWait: who cannot get a share of the budget hears so in time.
func TestQueryBudgetWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newReading(t, apitest.Always(apitest.OK(apitest.Fits)), func(c *coreapi.Config) { c.RequestsPerMinute = 1 })
		if a := x.ask(getTask("t-1")); a.Error != nil {
			t.Fatalf("the first one got %+v", a.Error)
		}
		began := time.Now()
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				a := x.ask(getTask(fmt.Sprint(i)))
				x.wantError(a, 429, "throttled")
				if a.RetryAfter < time.Second {
					t.Errorf("come again after %s", a.RetryAfter)
				}
			})
		}
		all.Wait()
		if d := time.Since(began); d != longestWait || x.Count("call") != 1 {
			t.Errorf("after %s: %s", d, x)
		}
	})
}

// TestSmallBudget: with the smallest budgets, too, a query leaves a token to the command behind it, and who is sent away
// learns when it is worth coming again.
func TestSmallBudget(t *testing.T) {
	t.Parallel()
	for _, perMinute := range []int{1, 2, 10, 59} {
		t.Run(fmt.Sprint(perMinute), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := newReading(t, apitest.Always(apitest.OK(apitest.Fits)), func(c *coreapi.Config) { c.RequestsPerMinute = perMinute })
				if a := x.ask(getTask("t-1")); a.Error != nil {
					t.Fatalf("the first one got %+v", a.Error)
				}
				began, each := time.Now(), time.Minute/time.Duration(perMinute)
				if x.update(); time.Since(began) != 0 {
					t.Errorf("the command waited %s", time.Since(began))
				}
				a := x.ask(getTask("t-2")) // two tokens have to come for it
				if 2*each <= longestWait {
					if a.Error != nil {
						t.Errorf("the answer is %+v", a.Error)
					}
					return
				}
				x.wantError(a, 429, "throttled")
				if want := 2*each - longestWait; a.RetryAfter.Round(time.Millisecond) != want.Round(time.Millisecond) {
					t.Errorf("come again after %s, want %s", a.RetryAfter, want)
				}
				time.Sleep(a.RetryAfter) //nolint:forbidigo // in a bubble
				back := time.Now()
				if a := x.ask(getTask("t-2")); a.Error != nil || time.Since(back) > 20*time.Millisecond {
					t.Errorf("after the wait and %s: %+v", time.Since(back), a.Error)
				}
			})
		})
	}
}

// TestFewRemain: when factro says that few requests remain, they are for commands. What is few shrinks with the time that is left of
// the window: a tenth of the requests that belong to that.
func TestFewRemain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		budget, policy string
		again          time.Duration // about; 0 if the query is answered
	}{
		"few":                    {`"500-in-1min"; r=9; t=40`, "", 27 * time.Second},
		"enough":                 {`"500-in-1min"; r=40; t=40`, "", 0},
		"few of a small quota":   {`"20-in-1min"; r=1; t=40`, `"20-in-1min"; q=20; w=60`, 10 * time.Second},
		"much of a small quota":  {`"20-in-1min"; r=2; t=40`, `"20-in-1min"; q=20; w=60`, 0},
		"few of a large quota":   {`"5000-in-1min"; r=99; t=40`, `"5000-in-1min"; q=5000; w=60`, 27 * time.Second},
		"a quota that cannot be": {`"x"; r=499; t=40`, `"x"; q=1000000000; w=60`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				header := map[string]string{"RateLimit": test.budget, "RateLimit-Policy": test.policy}
				x := newReading(t, apitest.Always(apitest.Reply{Status: 200, Body: apitest.Fits, Header: header}))
				x.ask(getTask("t-1"))
				began := time.Now()
				a := x.ask(getTask("t-2"))
				if test.again == 0 {
					if a.Error != nil {
						t.Errorf("the answer is %+v", a.Error)
					}
					return
				}
				x.wantError(a, 429, "throttled")
				if d := a.RetryAfter - test.again; d.Abs() > 2*time.Second || time.Since(began) != 0 {
					t.Errorf("after %s: come again after %s", time.Since(began), a.RetryAfter)
				}
				x.update()
				if time.Since(began) != 0 {
					t.Errorf("the command waited %s", time.Since(began))
				}
				for a = x.ask(getTask("t-3")); a.Error != nil && time.Since(began) < 40*time.Second; a = x.ask(getTask("t-3")) {
					time.Sleep(a.RetryAfter) //nolint:forbidigo // in a bubble
				}
				if d := time.Since(began); a.Error != nil || d < test.again-2*time.Second || d > 42*time.Second {
					t.Errorf("answered after %s: %+v", d, a.Error)
				}
			})
		})
	}
}

// TestFewRemainOver: an answer of the next window takes the restriction away.
func TestFewRemainOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		few := true
		x := newReading(t, func(*http.Request, string) apitest.Reply {
			budget := `"500-in-1min"; r=400; t=60`
			if few {
				budget = `"500-in-1min"; r=1; t=50`
			}
			return apitest.Reply{Status: 200, Body: apitest.Fits, Header: map[string]string{"RateLimit": budget}}
		})
		x.ask(getTask("t-1"))
		few = false
		x.update()
		if a := x.ask(getTask("t-2")); a.Error != nil {
			t.Errorf("the answer is %+v", a.Error)
		}
	})
}
