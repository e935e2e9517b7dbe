package egress

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestMalformedAnswerIsNoSuccess: an answer that does not have the form of its operation is not a success. An update is repeated, a
// create is searched for, and the breaker stops all further commands.
func TestMalformedAnswerIsNoSuccess(t *testing.T) {
	t.Parallel()
	page := apitest.Reply{Status: 200, Header: map[string]string{"Content-Type": "text/html"}, Body: "<h1>Wartung</h1>"}
	for name, answer := range map[string]apitest.Reply{
		"page": page, "empty object": apitest.OK("{}"), "error": apitest.OK(`{"error":"expired"}`), "cut": apitest.OK(`{"id":"t-1"`), "large": apitest.OK(`{"id":"` + strings.Repeat("x", 8<<20) + `"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, apitest.Sequence(answer, apitest.OK(apitest.Fits)))
				if s := r.wantDone(r.do(update()), events.Applied, ""); s.result.Attempts != 2 {
					t.Errorf("it took %d attempts", s.result.Attempts)
				}
				f := tasks{answers: []apitest.Reply{answer}, makes: true}
				r = newRig(t, f.script)
				if s := r.wantDone(r.do(create()), events.Applied, ""); !s.result.Adopted || r.Count("call POST") != 1 {
					t.Errorf("unexpected steps: %s", r)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // the probe too
		began := time.Now()
		r := newRig(t, func(*http.Request, string) apitest.Reply {
			if time.Since(began) < time.Hour {
				return page
			}
			return apitest.OK(apitest.Fits)
		})
		s := r.wantDone(r.do(update()), events.Applied, "")
		if r.Count("call PUT") != 6 || s.result.Attempts > maxAttempts {
			t.Errorf("after %s: %s", time.Since(began), r)
		}
	})
}

// TestEmptyCreate: an empty answer to a create is not a certain success. The object is searched for, and not created again.
func TestEmptyCreate(t *testing.T) {
	t.Parallel()
	batch := command("createTasks", `{"items":[{"title":"T","targetParentId":"p-1"}]}`)
	for name, test := range map[string]struct {
		factro  tasks
		cmd     events.Command
		outcome events.Outcome
		code    string
	}{
		"200, there":            {tasks{answers: []apitest.Reply{apitest.OK("")}, makes: true}, create(), events.Applied, ""},
		"201, there":            {tasks{answers: []apitest.Reply{{Status: 201}}, makes: true}, create(), events.Applied, ""},
		"201, there in a while": {tasks{answers: []apitest.Reply{{Status: 201}}, makes: true, lag: 3}, create(), events.Applied, ""},
		"200, not there":        {tasks{answers: []apitest.Reply{apitest.OK("")}}, create(), events.Dead, events.CodeAmbiguous},
		"201, not there":        {tasks{answers: []apitest.Reply{{Status: 201}}}, create(), events.Dead, events.CodeAmbiguous},
		"200, no way to look":   {tasks{answers: []apitest.Reply{apitest.OK("")}}, batch, events.Dead, events.CodeAmbiguous},
		"201, no way to look":   {tasks{answers: []apitest.Reply{{Status: 201}}}, batch, events.Applied, ""},
		"204, no way to look":   {tasks{answers: []apitest.Reply{{Status: 204}}}, batch, events.Applied, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, test.factro.script)
				r.wantDone(r.do(test.cmd), test.outcome, test.code)
				if r.Count("call POST") != 1 {
					t.Errorf("unexpected steps: %s", r)
				}
				failures := 0
				if name == "200, no way to look" { // as from a server that answers like this to everything
					failures = 1
				}
				if c := r.w.api.Failures(); c != failures {
					t.Errorf("the breaker counts %d failures, want %d", c, failures)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // a certain success needs no right to search
		r := newRig(t, unsearchable(apitest.Always(apitest.Reply{Status: 201})))
		r.wantDone(r.do(create()), events.Applied, "")
	})
}

// TestRetryAfterOfFailures: the Retry-After of a failure is followed, up to a limit.
func TestRetryAfterOfFailures(t *testing.T) {
	t.Parallel()
	for after, want := range map[string]time.Duration{
		"7": 7 * time.Second, "Sat, 01 Jan 2000 00:00:25 GMT": 25 * time.Second, "999999999": time.Hour, "Fri, 01 Jan 2100 00:00:00 GMT": time.Hour, "soon": time.Minute,
	} {
		for _, status := range []int{408, 500, 502, 503, 504, 520} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, apitest.Sequence(apitest.Reply{Status: status, Header: map[string]string{"Retry-After": after}}, apitest.OK(apitest.Fits)))
				r.wantDone(r.do(update()), events.Applied, "")
				if d := r.api.At[1].Sub(r.api.At[0]); d != want {
					t.Errorf("%d, %s: called again after %s, want %s", status, after, d, want)
				}
				if d := r.stores.results(events.Deferred); len(d) != 1 || d[0].result.Error.Code != events.CodeUnavailable {
					t.Errorf("%d, %s: deferred %+v", status, after, d)
				}
			})
		}
	}
}

// TestBudgetOfFailures: the gate also uses the rate limit headers of a failed answer. It ignores a window of years.
func TestBudgetOfFailures(t *testing.T) {
	t.Parallel()
	for budget, want := range map[string]time.Duration{`"x"; r=0; t=9`: 9 * time.Second, `"x"; r=0; t=99999999`: 0} {
		for _, status := range []int{200, 403, 500} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, apitest.Always(apitest.Reply{Status: status, Body: apitest.Fits, Header: map[string]string{"ratelimit": budget}}))
				op, _ := factro.Lookup("updateTask")
				r.w.api.Exchange(t.Context(), coreapi.Attempt{Op: op, Number: 1}, translate.Call{Method: op.Method, Target: "/tasks/t-1"}, apitest.Key)
				began := time.Now()
				// Whether the seconds are rounded up or down is not known.
				if err := r.w.Ready(t.Context()); err != nil || time.Since(began) < want || time.Since(began) > want+want/9+want/100 {
					t.Errorf("%d: ready after %s, want %s", status, time.Since(began), want)
				}
			})
		}
	}
}

// TestUnsendableKey: a key that cannot be sent in a header counts as no key. No command is tried with it.
func TestUnsendableKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	write(t, file, "one\ntwo")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)), func(c *coreapi.Config) { c.Key = secret.Source{File: file} })
		if key, o := r.w.api.Acquire(t.Context()); key != "" || o.Code != events.CodeUnauthorized {
			t.Errorf("calls are not blocked: %+v", o)
		}
		if !strings.Contains(r.log.String(), "several lines") || strings.Contains(r.log.String(), "two") || r.Count("call") != 0 {
			t.Errorf("%s\n%s", r, r.log)
		}
		if n := r.w.api.Failures(); n != 0 {
			t.Errorf("the breaker counts %d", n)
		}
	})
}

// TestUnbuiltRequest: a request that cannot be built is the bridge's mistake. It says nothing about factro, and the error does not
// show the address.
func TestUnbuiltRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
		op, _ := factro.Lookup("updateTask")
		for range 25 {
			got, j := r.w.api.Exchange(t.Context(), coreapi.Attempt{Op: op, Number: 1}, translate.Call{Method: op.Method, Target: "/tasks/%zz"}, apitest.Key)
			if j != coreapi.Failed || got.Ours == nil || !strings.Contains(got.Err.Error(), "no request can be made") || strings.Contains(got.Err.Error(), "http") {
				t.Fatalf("%d: %v", j, got.Err)
			}
		}
		if c := r.w.api.Failures(); c != 0 || r.Count("call") != 0 || !r.w.api.Clear() {
			t.Errorf("the breaker counts %+v", c)
		}
	})
}

// TestOddDate: one Date header from another century does not affect later creates, and is reported once.
func TestOddDate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var bodies []string
		r := newRig(t, func(_ *http.Request, body string) apitest.Reply {
			bodies = append(bodies, body)
			return apitest.Reply{Status: 200, Body: apitest.Fits, Header: map[string]string{"Date": "Fri, 01 Jan 2100 00:00:00 GMT"}}
		})
		for n := range 5 {
			c := create()
			c.Event.SetID(fmt.Sprint("c-", n))
			if err := r.do(c); err != nil {
				t.Error(err)
			}
		}
		for _, body := range bodies {
			if !strings.Contains(body, `"creationDate":"2000-01-01T`) {
				t.Errorf("it sent %s", body)
			}
		}
		if n := strings.Count(r.log.String(), "too far apart"); n != 1 {
			t.Errorf("%d warnings:\n%s", n, r.log)
		}
	})
}
