package egress

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestThrottled: a 429 closes the gate for exactly the time in the answer, and does not count as an attempt.
func TestThrottled(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		header map[string]string
		want   time.Duration
	}{
		"seconds":        {map[string]string{"Retry-After": "17", "ratelimit": `"500-in-1min"; r=0; t=40`}, 17 * time.Second},
		"date":           {map[string]string{"Retry-After": "Sat, 01 Jan 2000 00:00:25 GMT"}, 25 * time.Second},
		"their clock":    {map[string]string{"Retry-After": "Sat, 01 Jan 2000 00:10:25 GMT", "Date": "Sat, 01 Jan 2000 00:10:00 GMT"}, 25 * time.Second},
		"a date in past": {map[string]string{"Retry-After": "Fri, 31 Dec 1999 00:00:00 GMT"}, time.Second},
		"zero":           {map[string]string{"Retry-After": "0"}, time.Second},
		"ratelimit":      {map[string]string{"ratelimit": `"500-in-1min"; r=0; t=40`}, 40 * time.Second}, // rounded up or down
		"nothing":        {nil, time.Minute},
		"nonsense":       {map[string]string{"Retry-After": "soon"}, time.Minute},
		"absurd":         {map[string]string{"Retry-After": "999999999999"}, time.Minute},
		"hours":          {map[string]string{"Retry-After": "86400"}, time.Hour},
	} {
		for _, cmd := range []events.Command{create(), update()} {
			t.Run(name+" "+cmd.Operation, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, apitest.Sequence(apitest.Reply{Status: 429, Header: test.header, Body: "Rate limit exceeded"}, apitest.OK(`{"id":"t-1"}`)))
					began := time.Now()
					s := r.wantDone(r.do(cmd), events.Applied, "")
					if d := r.api.At[1].Sub(began); d != test.want || len(r.api.At) != 2 {
						if name != "absurd" && name != "ratelimit" || d < test.want || d > time.Hour {
							t.Errorf("called again after %s, want %s: %s", d, test.want, r)
						}
					}
					if s.result.Attempts != 1 {
						t.Errorf("it counts %d attempts", s.result.Attempts)
					}
					deferred := r.stores.results(events.Deferred)
					if test.want < 2*time.Second {
						if len(deferred) != 0 {
							t.Error("a short wait causes no deferred result")
						}
						return
					}
					if len(deferred) != 1 {
						t.Fatalf("%d deferred results: %s", len(deferred), r)
					}
					d := deferred[0]
					if !d.result.RetryAt.Equal(r.api.At[1]) || d.result.Error.Code != "throttled" || !d.at.Equal(began) ||
						d.id != fmt.Sprintf("acme.c-1.deferred.%d%s", r.api.At[1].Unix(), sourceDigest) || d.subject != "factro.result.acme.task."+cmd.Operation+".deferred" || d.result.FinishedAt != nil {
						t.Errorf("deferred is %s at %s", d.event.Data(), d.at)
					}
				})
			})
		}
	}
}

// TestThrottledOften: waiting does not use up attempts, however often it happens.
func TestThrottledOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := newRig(t, func(*http.Request, string) apitest.Reply {
			if n++; n <= 30 {
				return apitest.Reply{Status: 429}
			}
			return apitest.OK(`{"id":"t-9","totalUserCount":7}`)
		})
		s := r.wantDone(r.do(create()), events.Applied, "")
		if s.result.Attempts != 1 || r.Count("call") != 31 || r.w.api.Failures() != 0 {
			t.Errorf("%d attempts, %s", s.result.Attempts, r)
		}
	})
}

// TestBudgetUsedUp: the last answer within the budget closes the gate before factro has to refuse a call.
func TestBudgetUsedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Always(apitest.Reply{Status: 200, Body: apitest.Fits, Header: map[string]string{"ratelimit": `"500-in-1min"; r=0; t=9`}}))
		r.wantDone(r.do(update()), events.Applied, "")
		began := time.Now()
		if err := r.w.Ready(t.Context()); err != nil || time.Since(began) != 9*time.Second {
			t.Errorf("ready after %s, %v", time.Since(began), err)
		}
	})
}

// TestDeferredPublishFails: a deferred result that cannot be published does not block the command.
func TestDeferredPublishFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Sequence(apitest.Reply{Status: 429}, apitest.OK(apitest.Fits)))
		r.stores.fail = func(step string) error {
			if step == "publish deferred" {
				return errors.New("away")
			}
			return nil
		}
		r.wantDone(r.do(update()), events.Applied, "")
	})
}

// TestPaused: a refused key stops everything except an occasional probe. With a new key in the file, commands go on within a second.
func TestPaused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	write(t, file, "old")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Keyed(func() string { return "new" }), func(c *coreapi.Config) { c.Key = secret.Source{File: file} })
		began := time.Now()
		done := make(chan error)
		go func() { done <- r.do(create()) }()

		time.Sleep(100 * time.Second) //nolint:forbidigo // in a bubble: probes after 30, 60 and 90
		synctest.Wait()
		if !r.w.api.Paused() || r.Count("call POST") != 1 || r.Count("call GET") != 3 {
			t.Errorf("paused %v: %s", r.w.api.Paused(), r)
		}
		for i, at := range r.api.At {
			if d := at.Sub(began); d != time.Duration(i)*30*time.Second {
				t.Errorf("call %d came after %s", i, d)
			}
		}
		if d := r.stores.results(events.Deferred); len(d) != 1 || d[0].result.Error.Code != "unauthorized" || d[0].result.RetryAt == nil {
			t.Errorf("deferred: %v", d)
		}

		write(t, file, "new\n")
		changed := time.Now()
		s := r.wantDone(<-done, events.Applied, "")
		if d := time.Since(changed); d > 1100*time.Millisecond || r.w.api.Paused() || s.result.Attempts != 1 || r.Count("call POST") != 2 {
			t.Errorf("after %s, paused %v: %s", d, r.w.api.Paused(), r)
		}
		if n := strings.Count(r.log.String(), "does not accept the API key"); n != 1 {
			t.Errorf("the alarm was logged %d times:\n%s", n, r.log)
		}
		if !strings.Contains(r.log.String(), "accepts the API key;") {
			t.Error("the end of the pause is not logged")
		}
	})
}

// TestPausedSameKey: factro may accept the same key again. The next probe detects it.
func TestPausedSameKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRig(t, apitest.Keyed(func() string {
			if time.Since(began) < 45*time.Second {
				return "another"
			}
			return apitest.Key
		}))
		r.wantDone(r.do(update()), events.Applied, "")
		if d := time.Since(began); d != time.Minute {
			t.Errorf("it went on after %s, want at the next probe", d)
		}
	})
}

// TestPausedAndDown: factro fails while the key is bad. The number of probes does not double.
func TestPausedAndDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := newRig(t, func(*http.Request, string) apitest.Reply {
			if n++; n == 1 {
				return apitest.Reply{Status: 401}
			}
			return apitest.Broken
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		wantRetry(t, r.w.Handle(ctx, ctx, update(), nil))
		if n := r.Count("call"); n < 15 || n > 25 {
			t.Errorf("%d calls in ten minutes, want one in 30 s: %s", n, r)
		}
	})
}

// noKeyText is the message for senders and requesters that there is no key.
const noKeyText = "the bridge has no API key"

// TestNoKey: without a key the bridge makes no calls, since factro would refuse each one.
func TestNoKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Keyed(func() string { return "new" }), func(c *coreapi.Config) { c.Key = secret.Source{File: file} })
		ready := make(chan error)
		go func() { ready <- r.w.Ready(t.Context()) }()
		time.Sleep(10 * time.Minute) //nolint:forbidigo // in a bubble
		synctest.Wait()
		if n := r.Count("call"); n != 0 || !r.w.api.Paused() {
			t.Fatalf("%d calls, paused %v", n, r.w.api.Paused())
		}
		if n := strings.Count(r.log.String(), "\n"); n > 2 {
			t.Errorf("%d lines in the log:\n%s", n, r.log)
		}
		if text := r.log.String(); strings.Contains(text, "does not accept") || strings.Count(text, "there is no API key") != 1 || !strings.Contains(text, file) {
			t.Errorf("the log does not report a missing file once:\n%s", text)
		}
		if err := r.w.api.Trouble(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), file) {
			t.Errorf("readiness reports %v", err)
		}
		if err := r.w.api.Stored(t.Context(), time.Now(), nil); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "; next attempt at 2") {
			t.Errorf("reconciliation gets %v", err)
		}
		if _, o := r.w.api.Acquire(t.Context()); o.Code != events.CodeUnauthorized || !strings.HasPrefix(o.Message(), noKeyText) {
			t.Errorf("a query is answered with %+v", o)
		}
		write(t, file, "new")
		began := time.Now()
		if err := <-ready; err != nil || time.Since(began) > time.Second || r.w.api.Paused() {
			t.Errorf("ready after %s, paused %v: %v", time.Since(began), r.w.api.Paused(), err)
		}
	})
}

// TestNoKeyDeferred: the sender of a command gets the message that there is no key, without file names of this machine. A bad key
// that appears later raises another alarm.
func TestNoKeyDeferred(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Keyed(func() string { return "new" }), func(c *coreapi.Config) { c.Key = secret.Source{File: file} })
		done := make(chan error)
		go func() { done <- r.do(update()) }()
		time.Sleep(5 * time.Second) //nolint:forbidigo // in a bubble
		synctest.Wait()
		d := r.stores.results(events.Deferred)
		if len(d) != 1 || d[0].result.Error.Code != events.CodeUnauthorized || !strings.HasPrefix(d[0].result.Error.Message, noKeyText) {
			t.Errorf("deferred: %v", d)
		}
		write(t, file, "wrong")
		time.Sleep(5 * time.Second) //nolint:forbidigo // in a bubble
		synctest.Wait()
		if n := strings.Count(r.log.String(), "does not accept the API key"); n != 1 {
			t.Errorf("the alarm was logged %d times:\n%s", n, r.log)
		}
		if err := r.w.api.Trouble(); err == nil || !strings.Contains(err.Error(), "does not accept") {
			t.Errorf("readiness reports %v", err)
		}
		write(t, file, "new")
		r.wantDone(<-done, events.Applied, "")
		if err := r.w.api.Trouble(); err != nil {
			t.Errorf("readiness reports %v", err)
		}
	})
}

// TestOutageIsLoggedOnce: the log says once that factro cannot be reached, with the cause, and once that it is back. In between,
// readiness and reads of stored payloads report it.
func TestOutageIsLoggedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRig(t, func(*http.Request, string) apitest.Reply {
			if time.Since(began) < 5*time.Minute {
				return apitest.Reply{Unsent: true}
			}
			return apitest.OK(apitest.Fits)
		})
		done := make(chan error)
		go func() { done <- r.do(update()) }()
		time.Sleep(4 * time.Minute) //nolint:forbidigo // in a bubble
		synctest.Wait()
		const cause = "dial tcp: connection refused"
		warned := warnings(r)
		if len(warned) != 1 || !strings.Contains(warned[0], cause) || !strings.Contains(warned[0], `"next_attempt":"2`) {
			t.Errorf("the log does not have the cause once:\n%s", r.log)
		}
		if err := r.w.api.Trouble(); err == nil || !strings.Contains(err.Error(), cause) || !strings.Contains(err.Error(), "since 2") {
			t.Errorf("readiness reports %v", err)
		}
		if err := r.w.api.Stored(t.Context(), time.Now(), nil); err == nil || !strings.Contains(err.Error(), cause) || !strings.Contains(err.Error(), "; next attempt at 2") {
			t.Errorf("reconciliation gets %v", err)
		}
		r.wantDone(<-done, events.Applied, "")
		if text := r.log.String(); len(warnings(r)) != 1 || strings.Count(text, "factro answers again") != 1 {
			t.Errorf("the log does not have the recovery once:\n%s", text)
		}
		if err := r.w.api.Trouble(); err != nil {
			t.Errorf("readiness still reports %v", err)
		}
	})
}

// warnings are the lines of the log at this level.
func warnings(r *rig) []string {
	var out []string
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, `"level":"WARN"`) {
			out = append(out, line)
		}
	}
	return out
}

// TestKeyFileGone: the bridge keeps using the last good key, and logs that once.
func TestKeyFileGone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	write(t, file, "good")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Keyed(func() string { return "good" }), func(c *coreapi.Config) { c.Key = secret.Source{File: file} })
		r.wantDone(r.do(update()), events.Applied, "")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) //nolint:forbidigo // in a bubble
		r.stores.sent = nil
		r.wantDone(r.do(update()), events.Applied, "")
		if n := strings.Count(r.log.String(), "cannot be used"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, r.log)
		}
	})
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// openBreaker opens the breaker of a rig.
func openBreaker(r *rig) {
	r.t.Helper()
	for range 5 {
		r.w.api.Exchange(context.Background(), coreapi.Attempt{Op: coreapi.Probe, Number: 1}, probeCall, apitest.Key)
	}
	if s := r.w.api.Breaker(); s != "open" {
		r.t.Fatalf("after five failures the breaker is %s", s)
	}
}

// TestBreaker: five failures in a row stop the pulling of commands. Only the probe checks whether factro is back.
func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRig(t, func(*http.Request, string) apitest.Reply {
			if time.Since(began) < 40*time.Second {
				return apitest.Broken
			}
			return apitest.OK(apitest.Fits)
		})
		for range 4 {
			r.w.api.Exchange(t.Context(), coreapi.Attempt{Op: coreapi.Probe, Number: 1}, probeCall, apitest.Key)
		}
		if r.w.api.Breaker() != "closed" {
			t.Error("four failures opened the breaker")
		}
		r.w.api.Exchange(t.Context(), coreapi.Attempt{Op: coreapi.Probe, Number: 1}, probeCall, apitest.Key)
		r.Lines = nil
		if err := r.w.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began).Round(time.Second); d != 45*time.Second { // three times 15 s
			t.Errorf("ready after %s, want 45s", d)
		}
		if r.String() != "call GET /api/core/users/quota; call GET /api/core/users/quota; call GET /api/core/users/quota" {
			t.Errorf("probed with %s", r)
		}
		if r.w.api.Breaker() != "closed" {
			t.Error("a good probe does not close the breaker")
		}
	})
}

// TestHalfOpen: no answer to a probe leads to calls without pauses.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer   apitest.Reply
		min, max int
	}{
		"429": {apitest.Reply{Status: 429}, 9, 11}, "429, now": {apitest.Reply{Status: 429, Header: map[string]string{"Retry-After": "0"}}, 500, 600},
		"401": {apitest.Reply{Status: 401}, 19, 21}, "5xx": {apitest.Broken, 38, 42}, "unsent": {apitest.Nowhere, 38, 42}, "hangs": {apitest.Reply{Hang: true}, 15, 18},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				answer := apitest.Broken
				r := newRig(t, func(*http.Request, string) apitest.Reply { return answer })
				openBreaker(r)
				answer = test.answer
				r.Lines = nil
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				if err := r.w.Ready(ctx); err == nil {
					t.Fatalf("ready: %s", r)
				}
				if n := r.Count("call"); n < test.min || n > test.max {
					t.Errorf("%d calls in ten minutes, want %d to %d", n, test.min, test.max)
				}
				if n := strings.Count(r.log.String(), "\n"); n > 2*r.Count("call")+5 {
					t.Errorf("%d lines in the log", n)
				}
			})
		})
	}
}

// TestHalfOpenRefused: any answer of factro itself closes the breaker.
func TestHalfOpenRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer := apitest.Broken
		r := newRig(t, func(*http.Request, string) apitest.Reply { return answer })
		openBreaker(r)
		answer = apitest.Reply{Status: 403}
		if err := r.w.Ready(t.Context()); err != nil || r.w.api.Breaker() != "closed" {
			t.Errorf("%v, breaker %s", err, r.w.api.Breaker())
		}
	})
}

// TestOutage: during an outage a command waits, its sender gets a deferred result, and afterwards the command is applied.
func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := newRig(t, func(*http.Request, string) apitest.Reply {
			if time.Since(began) < time.Hour {
				return apitest.Nowhere
			}
			return apitest.OK(`{"id":"t-9","totalUserCount":7}`)
		})
		s := r.wantDone(r.do(create()), events.Applied, "")
		if d := time.Since(began); d > time.Hour+time.Minute || s.result.Attempts > maxAttempts {
			t.Errorf("after %s and %d attempts", d, s.result.Attempts)
		}
		if d := r.stores.results(events.Deferred); len(d) != 1 || d[0].result.Error.Code != "unavailable" {
			t.Errorf("deferred: %v", d)
		}
		if n := r.Count("call POST"); n != 6 { // five to open the breaker, one that works
			t.Errorf("the command was tried %d times", n)
		}
	})
}

// TestCancelledCallIsNeutral: a call that the bridge cancels says nothing about factro.
func TestCancelledCallIsNeutral(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Always(apitest.Reply{Hang: true}))
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_ = r.w.Handle(ctx, ctx, update(), nil)
			cancel()
		}
		if c := r.w.api.Failures(); c != 0 {
			t.Errorf("the breaker counts %d failures", c)
		}
	})
}

// TestPace: no period of one minute has more calls than the budget and the burst.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const budget, burst = 60, 2
		r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)), func(c *coreapi.Config) { c.RequestsPerMinute = budget })
		time.Sleep(time.Hour) //nolint:forbidigo // in a bubble: idle time does not increase the budget
		for range 200 {
			r.stores.sent = nil
			r.wantDone(r.do(update()), events.Applied, "")
		}
		at := r.api.At
		for i, j := 0, 0; j < len(at); j++ {
			for at[j].Sub(at[i]) >= time.Minute {
				i++
			}
			if n := j - i + 1; n > budget+burst {
				t.Fatalf("%d calls in the minute from %s", n, at[i])
			}
		}
		if d := at[len(at)-1].Sub(at[0]); d > 200*time.Second {
			t.Errorf("200 calls took %s, slower than the budget", d)
		}
	})
}
