package coreapi

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/budget"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// newAPI is the way to a cloud with a key, to a scripted factro.
func newAPI(t *testing.T, cloud, key string, api *apitest.Factro, log *slog.Logger, change ...func(*Config)) *API {
	t.Helper()
	cfg := Config{
		Cloud: cloud, URL: "https://factro.example/api/core", Key: secret.Source{Value: secret.String(key)},
		Timeout: 20 * time.Second, UserAgent: "factro-bridge/test",
	}
	for _, c := range change {
		c(&cfg)
	}
	a, err := New(cfg, api, log)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// call waits for its turn and makes a call, as a command does.
func (a *API) call(ctx context.Context) (Judgement, error) {
	if err := a.AwaitSlot(ctx, nil); err != nil {
		return Failed, err
	}
	_, j := a.Exchange(ctx, Attempt{Op: Probe, Number: 1}, probeCall, a.Key())
	return j, nil
}

// TestBreakerGauge: the state of the breaker is one gauge, which follows each of its transitions.
func TestBreakerGauge(t *testing.T) { //nolint:paralleltest // the meter provider is global, and reads every test's clock
	synctest.Test(t, func(t *testing.T) {
		reply := apitest.OK(apitest.Fits)
		f := &apitest.Factro{Diary: &apitest.Diary{}, Script: func(*http.Request, string) apitest.Reply { return reply }}
		a := newAPI(t, "gauged", "key", f, slog.New(slog.DiscardHandler))
		state := func(when string, want float64) {
			t.Helper()
			if got, ok := gauge(t, "factro.bridge.breaker.state", "gauged"); !ok || got != want {
				t.Errorf("%s it is %v, want %v", when, got, want)
			}
		}
		calls := func(n int) {
			for range n {
				a.Exchange(t.Context(), Attempt{Op: Probe, Number: 1}, probeCall, a.Key())
			}
		}
		const closed, halfOpen, open = 0, 1, 2
		state("at the start", closed)
		calls(3)
		reply = apitest.Reply{Status: 503}
		calls(4)
		state("after four failures", closed)
		calls(1)
		state("after five", open)
		calls(3)
		if n := f.Count("call"); n != 8 {
			t.Errorf("%d calls reached factro, want 8", n)
		}
		time.Sleep(openFor + time.Millisecond) //nolint:forbidigo // in a bubble
		state("when a probe is due", halfOpen)
		calls(1)
		state("after a probe that failed", open)
		time.Sleep(openFor + time.Millisecond) //nolint:forbidigo // in a bubble
		state("when another one is due", halfOpen)
		reply = apitest.Reply{Status: 200, Body: apitest.Fits, Delay: time.Second}
		var probing sync.WaitGroup
		probing.Go(func() { calls(1) })
		synctest.Wait()
		state("during the probe", halfOpen)
		probing.Wait()
		state("after a probe that went well", closed)
	})
}

// TestNoCallBeforeItsTime: after 503 with Retry-After nothing is called before its time, neither a command, of many that wait, nor a
// query, nor a probe. A shorter wish that comes later, and an answer without one, shorten nothing.
func TestNoCallBeforeItsTime(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"key", ""} { // also for a cloud whose key is refused
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			f := &apitest.Factro{Diary: &apitest.Diary{}, Script: func(*http.Request, string) apitest.Reply {
				switch at := time.Since(began); {
				case at < time.Second && key == "":
					return apitest.Reply{Status: 401}
				case at < 40*time.Second:
					return apitest.Reply{Status: 503, Header: map[string]string{"Retry-After": "120"}, Delay: time.Second}
				}
				return apitest.OK(apitest.Fits)
			}}
			a := newAPI(t, "acme", "key", f, slog.New(slog.DiscardHandler))
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for {
						if j, err := a.call(ctx); j == Done || err != nil {
							return
						}
					}
				})
			}
			all.Go(func() {
				for ctx.Err() == nil {
					if _, o := a.Acquire(ctx); o.Code == "" {
						return
					}
					time.Sleep(time.Second) //nolint:forbidigo // in a bubble
				}
			})
			all.Wait()
			if ctx.Err() != nil {
				t.Fatal("the calls are not made")
			}
			last := f.At[0]
			for _, at := range f.At {
				if d := at.Sub(began); d > 41*time.Second && d < 120*time.Second || at.Sub(last) > 5*time.Second && at.Sub(last) < 119*time.Second && key != "" {
					t.Errorf("a call after %s, %s after the one before", d, at.Sub(last))
				}
				last = at
			}
		})
	}
}

// limited answers as a factro that allows so many requests in a minute, counted by what partition says of a request.
func limited(quota int, partition func(*http.Request) string) func(*http.Request, string) apitest.Reply {
	ends, used := map[string]time.Time{}, map[string]int{}
	return func(r *http.Request, _ string) apitest.Reply {
		p := partition(r)
		if now := time.Now(); !now.Before(ends[p]) {
			ends[p], used[p] = now.Add(time.Minute), 0
		}
		used[p]++
		seconds := int((time.Until(ends[p]) + time.Second - 1) / time.Second)
		reply := apitest.OK(apitest.Fits)
		reply.Delay = 100 * time.Millisecond
		if used[p] > quota {
			reply = apitest.Reply{Status: 429}
		}
		reply.Header = map[string]string{
			"RateLimit":        fmt.Sprintf(`"x"; r=%d; t=%d`, max(0, quota-used[p]), seconds),
			"RateLimit-Policy": fmt.Sprintf(`"x"; q=%d; w=60; pk=:%s:`, quota, factro.PartitionOf(p)[0]),
			"Retry-After":      fmt.Sprint(seconds),
		}
		if used[p] <= quota {
			delete(reply.Header, "Retry-After")
		}
		return reply
	}
}

// TestClouds: clouds of a process with one key share one budget, and all do when factro counts by address. The log and a gauge say
// what it counts by, and a request that is refused for one of them holds back the others.
func TestClouds(t *testing.T) { //nolint:paralleltest // the meter provider is global, and reads every test's clock
	for name, test := range map[string]struct { //nolint:paralleltest // as above
		keys      [2]string
		partition func(*http.Request) string
		kind      string
		minutes   int
	}{
		"shared":  {[2]string{"a-key", "a-key"}, func(r *http.Request) string { return r.Header.Get("Authorization") }, "key", 2},
		"address": {[2]string{"a-key", "b-key"}, func(*http.Request) string { return "192.0.2.1" }, "address", 2},
		"two":     {[2]string{"a-key", "b-key"}, func(r *http.Request) string { return r.Header.Get("Authorization") }, "key", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &apitest.Factro{Diary: &apitest.Diary{}, Script: limited(100, test.partition)}
				var log bytes.Buffer
				pool, logger := budget.NewPool(), slog.New(slog.NewTextHandler(&log, nil))
				var clouds []*API
				for i, key := range test.keys {
					clouds = append(clouds, newAPI(t, fmt.Sprintf("%s-%d", strings.ReplaceAll(name, " ", "-"), i), key, f, logger,
						func(c *Config) { c.Budgets, c.Reserve = pool, 5 }))
				}
				began := time.Now()
				var all sync.WaitGroup
				var mu sync.Mutex
				throttled := 0
				for _, a := range clouds {
					for range 4 {
						all.Go(func() {
							for range 25 {
								j, err := a.call(t.Context())
								if err != nil {
									t.Error(err)
									return
								}
								if j == Throttled {
									mu.Lock()
									throttled++
									mu.Unlock()
								}
							}
						})
					}
				}
				all.Wait()
				want := time.Duration(test.minutes) * time.Minute
				if d := time.Since(began); throttled > 0 || d > want*103/100 || d < want*9/10 {
					t.Errorf("after %s, want %s; %d refused", d, want, throttled)
				}
				for _, a := range clouds {
					if _, err := a.call(t.Context()); err != nil {
						t.Error(err)
					}
					if v, _ := gauge(t, "factro.bridge.api.budget.partition", a.Cloud(), "partition", test.kind); v != 1 {
						t.Errorf("the gauge of %s does not say %s", a.Cloud(), test.kind)
					}
					if v, ok := gauge(t, "factro.bridge.api.budget.reset", a.Cloud()); !ok || v <= 0 || v > 61 {
						t.Errorf("the window of %s ends in %v", a.Cloud(), v)
					}
					if v, _ := gauge(t, "factro.bridge.api.budget.allowed", a.Cloud()); v != 100 {
						t.Errorf("%s is allowed %v", a.Cloud(), v)
					}
				}
				if n := strings.Count(log.String(), "what it counts requests by"); n != len(slices.Compact(slices.Clone(test.keys[:]))) || strings.Contains(log.String(), "a-key") {
					t.Errorf("the log has %d lines:\n%s", n, &log)
				}
				time.Sleep(2 * time.Minute) //nolint:forbidigo // in a bubble
				refusal := apitest.Reply{Status: 429, Header: map[string]string{"Retry-After": "30", "RateLimit-Policy": fmt.Sprintf(
					`"x"; q=100; w=60; pk=:%s:`, factro.PartitionOf(test.partition(f.Seen[0]))[0])}}
				f.Script = func(*http.Request, string) apitest.Reply { return refusal }
				for _, a := range clouds {
					if a.Key().Reveal() == f.Seen[0].Header.Get("Authorization") {
						a.Exchange(t.Context(), Attempt{Op: Probe, Number: 1}, probeCall, a.Key())
						break
					}
				}
				for _, a := range clouds {
					shares := test.minutes == 2 || a.Key().Reveal() == f.Seen[0].Header.Get("Authorization")
					if o := a.Obstacle(a.Key()); (o.Code == events.CodeThrottled) != shares {
						t.Errorf("%s: in the way is %+v", a.Cloud(), o)
					}
				}
			})
		})
	}
}

// TestWaitingGauge: who waits for the budget is seen by class.
func TestWaitingGauge(t *testing.T) { //nolint:paralleltest // the meter provider is global, and reads every test's clock
	synctest.Test(t, func(t *testing.T) {
		f := &apitest.Factro{Diary: &apitest.Diary{}, Script: apitest.Always(apitest.OK(apitest.Fits))}
		a := newAPI(t, "waiting", "key", f, slog.New(slog.DiscardHandler), func(c *Config) { c.RequestsPerMinute = 1 })
		for range 2 {
			if _, err := a.call(t.Context()); err != nil {
				t.Error(err)
			}
		}
		var all sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for range 3 {
			all.Go(func() { _, _ = a.call(ctx) })
		}
		all.Go(func() { a.Acquire(ctx) })
		all.Go(func() { a.AcquireFor(ctx, budget.Reconcile) })
		all.Go(func() { a.AcquireFor(ctx, budget.Mirror) })
		synctest.Wait()
		for class, want := range map[string]float64{"commands": 3, "mirror": 1, "reconcile": 1, "queries": 1} {
			if v, _ := gauge(t, "factro.bridge.api.budget.waiting", "waiting", "class", class); v != want {
				t.Errorf("%v %s wait, want %v", v, class, want)
			}
		}
		if d := a.Estimate(1); d < 3*time.Minute || d > 4*time.Minute {
			t.Errorf("one more command is estimated to wait %s", d)
		}
		cancel()
		all.Wait()
	})
}
