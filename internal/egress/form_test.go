package egress

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestCheckBody: what an answer with a status of success has to hold.
func TestCheckBody(t *testing.T) {
	t.Parallel()
	const task, quota = `{"id":"t-1","title":"T"}`, `{"totalUserCount":7}`
	for _, test := range []struct {
		operation, body string
		want            error // nil for a good one, any for another
	}{
		{"createTask", task, nil},
		{"createTask", `{"id":7}`, nil},
		{"createTask", `{"title":"T","nested":{"id":"x"}}`, errNoID},
		{"createTask", `{"id":""}`, errNoID},
		{"createTask", `{"id":null}`, errNoID},
		{"createTask", `{}`, errNoID},
		{"createTask", ``, errNoBody},
		{"createTask", " \n", errNoBody},
		{"createTask", `null`, errNoBody},
		{"createTask", `{"id":"req-1","error":"maintenance"}`, errFailure},
		{"createTask", `{"id":"t-1","error":null,"errors":[]}`, nil},
		{"createTask", `{"id":"t-1"`, errShort},
		{"createTask", `{"id":"t-1"} x`, errNotJSON},
		{"createTask", `{"id":"t-1"}{}`, errNotJSON},
		{"createTask", `[` + task + `]`, errAny},
		{"createTask", `"t-1"`, errAny},
		{"createTask", `"t-`, errShort},
		{"createTask", `<html>`, errNotJSON},
		{"createTask", `{"id":"t-1","x":` + strings.Repeat("[", maxDepth+2), errTooDeep},
		{"createTasks", `[` + task + `,{"message":"refused"},null]`, nil},
		{"createTasks", `[]`, errNoID},
		{"createTasks", `[{"message":"refused"}]`, errNoID},
		{"createProjects", `[{"id":"p-1"},{"message":"refused"}]`, errNoID},
		{"createProjects", `[{"id":"p-1"},{"id":"p-2"}]`, nil},
		{"updateTask", task, nil},
		{"updateTask", `{"isMilestone":false}`, nil},
		{"updateTask", ``, nil},
		{"updateTask", `null`, nil},
		{"updateTask", `{}`, errAny},
		{"updateTask", `{"message":"Service unavailable"}`, errAny},
		{"updateTask", `{"id":"t-1"`, errShort},
		{"deleteProject", ``, nil},
		{"updateTasks", `[]`, nil},
		{"updateTasks", `{}`, errAny},
		{"deleteTask", ``, nil},
		{"deleteTask", `deleted`, nil},
		{"deleteTask", `{}`, nil},
		{"deleteTask", task, nil},
		{"deleteTask", task[:9], errShort},
		{"deleteTask", ` <!DOCTYPE html>`, errPage},
		{"deleteTask", `{"error":"expired"}`, errFailure},
		{"deleteTask", `{"error":null}`, nil},
		{"getUserQuota", quota, nil},
		{"getUserQuota", `{"status":"ok"}`, errAny},
		{"getUserQuota", `{"totalUserCount":null}`, errAny},
		{"getUserQuota", ``, errNoBody},
		{"getTaskReadRights", `{"u-1":[]}`, nil},
		{"listTasks", `[]`, nil},
		{"listTasks", `[1,"x",{}]`, nil},
		{"listTasks", `{"items":[]}`, errAny},
		{"listTasks", ``, errNoBody},
		{"listTasks", `[1,`, errShort},
		{"listTasks", `[}`, errNotJSON},
	} {
		op, known := factro.Lookup(test.operation)
		if !known {
			t.Fatal(test.operation)
		}
		for name, read := range map[string]func() error{
			"whole": func() error { return checkBody(op, strings.NewReader(test.body)) },
			"stream": func() error {
				r := checked(op, strings.NewReader(test.body))
				text, err := io.ReadAll(r)
				_ = r.Close()
				if err == nil && string(text) != test.body {
					t.Errorf("%s: %q came through as %q", test.operation, test.body, text)
				}
				return err
			},
		} {
			err := read()
			var wrong *formError
			if (err == nil) != (test.want == nil) || err != nil && !errors.As(err, &wrong) || test.want != nil && !errors.Is(test.want, errAny) && !errors.Is(err, test.want) {
				t.Errorf("%s, %s: %.60q: %v, want %v", test.operation, name, test.body, err, test.want)
			}
		}
	}
}

// errAny stands for any mistake.
var errAny = errors.New("any")

// TestNoSuccess: what is not in the form of an operation is no success. An update is made again, a create is looked for,
// and the breaker stops the rest.
func TestNoSuccess(t *testing.T) {
	t.Parallel()
	page := reply{status: 200, header: map[string]string{"Content-Type": "text/html"}, body: "<h1>Wartung</h1>"}
	for name, answer := range map[string]reply{
		"page": page, "empty object": ok("{}"), "error": ok(`{"error":"expired"}`), "cut": ok(`{"id":"t-1"`), "large": ok(`{"id":"` + strings.Repeat("x", maxAnswer) + `"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, inTurn(answer, ok(fits)))
				if s := r.wantDone(r.do(update()), events.Applied, ""); s.result.Attempts != 2 {
					t.Errorf("it took %d attempts", s.result.Attempts)
				}
				f := tasks{answers: []reply{answer}, makes: true}
				r = newRig(t, f.script)
				if s := r.wantDone(r.do(create()), events.Applied, ""); !s.result.Adopted || r.count("call POST") != 1 {
					t.Errorf("what happened: %s", r)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // the probe too
		began := time.Now()
		r := newRig(t, func(*http.Request, string) reply {
			if time.Since(began) < time.Hour {
				return page
			}
			return ok(fits)
		})
		s := r.wantDone(r.do(update()), events.Applied, "")
		if r.count("call PUT") != 6 || s.result.Attempts > maxAttempts {
			t.Errorf("after %s: %s", time.Since(began), r)
		}
	})
}

// TestEmptyCreate: an empty answer to a create is no certain success. It is looked for, and not made again.
func TestEmptyCreate(t *testing.T) {
	t.Parallel()
	batch := command("createTasks", `{"items":[{"title":"T","targetParentId":"p-1"}]}`)
	for name, test := range map[string]struct {
		factro  tasks
		cmd     events.Command
		outcome events.Outcome
		code    string
	}{
		"200, there":            {tasks{answers: []reply{ok("")}, makes: true}, create(), events.Applied, ""},
		"201, there":            {tasks{answers: []reply{{status: 201}}, makes: true}, create(), events.Applied, ""},
		"201, there in a while": {tasks{answers: []reply{{status: 201}}, makes: true, lag: 3}, create(), events.Applied, ""},
		"200, not there":        {tasks{answers: []reply{ok("")}}, create(), events.Dead, events.CodeAmbiguous},
		"201, not there":        {tasks{answers: []reply{{status: 201}}}, create(), events.Dead, events.CodeAmbiguous},
		"200, no way to look":   {tasks{answers: []reply{ok("")}}, batch, events.Dead, events.CodeAmbiguous},
		"201, no way to look":   {tasks{answers: []reply{{status: 201}}}, batch, events.Applied, ""},
		"204, no way to look":   {tasks{answers: []reply{{status: 204}}}, batch, events.Applied, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, test.factro.script)
				r.wantDone(r.do(test.cmd), test.outcome, test.code)
				if r.count("call POST") != 1 {
					t.Errorf("what happened: %s", r)
				}
				failures := uint32(0)
				if name == "200, no way to look" { // as from something that answers so to everything
					failures = 1
				}
				if c := r.w.gate.breaker.Counts(); c.TotalFailures != failures {
					t.Errorf("the breaker counts %d failures, want %d", c.TotalFailures, failures)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // the rights to look are not needed for what is certain
		r := newRig(t, unseeable(always(reply{status: 201})))
		r.wantDone(r.do(create()), events.Applied, "")
	})
}

// TestRest: a failure's wish to be left alone is heeded, for a bounded time.
func TestRest(t *testing.T) {
	t.Parallel()
	for after, want := range map[string]time.Duration{
		"7": 7 * time.Second, "Sat, 01 Jan 2000 00:00:25 GMT": 25 * time.Second, "999999999": maxRest, "Fri, 01 Jan 2100 00:00:00 GMT": maxRest, "soon": maxRest,
	} {
		for _, status := range []int{408, 500, 502, 503, 504, 520} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, inTurn(reply{status: status, header: map[string]string{"Retry-After": after}}, ok(fits)))
				r.wantDone(r.do(update()), events.Applied, "")
				if d := r.api.at[1].Sub(r.api.at[0]); d != want {
					t.Errorf("%d, %s: called again after %s, want %s", status, after, d, want)
				}
				if d := r.desk.results(events.Deferred); len(d) != 1 || d[0].result.Error.Code != events.CodeUnavailable {
					t.Errorf("%d, %s: deferred %+v", status, after, d)
				}
			})
		}
	}
}

// TestBudgetOfFailures: an answer that failed teaches the gate, too; a window of years teaches nothing.
func TestBudgetOfFailures(t *testing.T) {
	t.Parallel()
	for budget, want := range map[string]time.Duration{`"x"; r=0; t=9`: 9 * time.Second, `"x"; r=0; t=99999999`: 0} {
		for _, status := range []int{200, 403, 500} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, always(reply{status: status, body: fits, header: map[string]string{"ratelimit": budget}}))
				op, _ := factro.Lookup("updateTask")
				r.w.exchange(t.Context(), attempt{op: op, number: 1}, translate.Call{Method: op.Method, Target: "/tasks/t-1"}, apiKey)
				began := time.Now()
				if err := r.w.Ready(t.Context()); err != nil || time.Since(began) != want {
					t.Errorf("%d: ready after %s, want %s", status, time.Since(began), want)
				}
			})
		}
	}
}

// TestUnsendableKey: a key that no request can hold is as none; nobody's command is tried with it.
func TestUnsendableKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	write(t, file, "one\ntwo")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, always(ok(fits)), func(c *Config) { c.Key = secret.Source{File: file} })
		if key, o := r.w.knock(t.Context()); key != "" || o.code != events.CodeUnauthorized {
			t.Errorf("the way is free: %+v", o)
		}
		if !strings.Contains(r.log.String(), "several lines") || strings.Contains(r.log.String(), "two") || r.count("call") != 0 {
			t.Errorf("%s\n%s", r, r.log)
		}
		if n := r.w.gate.breaker.Counts().TotalFailures; n != 0 {
			t.Errorf("the breaker counts %d", n)
		}
	})
}

// TestUnbuiltRequest: a request that cannot be built is our mistake; it says nothing about factro, and shows no address.
func TestUnbuiltRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, always(ok(fits)))
		op, _ := factro.Lookup("updateTask")
		for range 25 {
			got, j := r.w.exchange(t.Context(), attempt{op: op, number: 1}, translate.Call{Method: op.Method, Target: "/tasks/%zz"}, apiKey)
			if j != failed || got.ours == nil || !strings.Contains(got.err.Error(), "no request can be made") || strings.Contains(got.err.Error(), "http") {
				t.Fatalf("%d: %v", j, got.err)
			}
		}
		if c := r.w.gate.breaker.Counts(); c.TotalFailures != 0 || r.count("call") != 0 || !r.w.gate.open() {
			t.Errorf("the breaker counts %+v", c)
		}
	})
}

// TestMandant: one odd answer does not change the links of all others.
func TestMandant(t *testing.T) {
	t.Parallel()
	var a agreed
	for n, test := range []struct{ told, want string }{
		{"", ""}, {"a", "a"}, {"b", "a"}, {"b", "a"}, {"a", "a"}, {"b", "a"}, {"c", "a"}, {"b", "a"}, {"b", "a"}, {"", "a"}, {"b", "b"},
	} {
		if a.learn(test.told); a.get() != test.want {
			t.Errorf("step %d: told %q, it is %q, want %q", n, test.told, a.get(), test.want)
		}
	}
}

// TestClock: one answer alone sets no clock, several that agree do, and none does that cannot be.
func TestClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		ahead []time.Duration
		want  time.Duration
		known bool
		far   int
	}{
		"nothing":            {nil, 0, false, 0},
		"as ours":            {[]time.Duration{time.Second}, time.Second, true, 0},
		"one alone":          {[]time.Duration{40 * time.Second}, 0, false, 0},
		"three":              {[]time.Duration{40 * time.Second, 41 * time.Second, 40 * time.Second}, 40 * time.Second, true, 0},
		"three, apart":       {[]time.Duration{40 * time.Second, 80 * time.Second, 40 * time.Second}, 0, false, 0},
		"an odd one":         {[]time.Duration{0, 2 * time.Minute, 0}, 0, true, 0},
		"odd ones, not more": {[]time.Duration{0, 2 * time.Minute, 2 * time.Minute, 0, 2 * time.Minute}, 0, true, 0},
		"a drift":            {[]time.Duration{0, 2 * time.Second, 4 * time.Second, 6 * time.Second}, 6 * time.Second, true, 0},
		"behind":             {[]time.Duration{-time.Minute, -time.Minute, -time.Minute}, -time.Minute, true, 0},
		"2100":               {[]time.Duration{0, 73 * 365 * 24 * time.Hour, 73 * 365 * 24 * time.Hour, 73 * 365 * 24 * time.Hour}, 0, true, 3},
		"hours":              {[]time.Duration{time.Hour, time.Hour, time.Hour, time.Hour}, 0, false, 4},
	} {
		var c clock
		fars, warns := 0, 0
		for _, ahead := range test.ahead {
			_, far, warn := c.learn(http.Header{"Date": {now.Add(ahead).Format(http.TimeFormat)}}, now.Add(time.Second/2))
			if far {
				fars++
			}
			if warn {
				warns++
			}
		}
		if off, known := c.offset(); off != test.want || known != test.known || fars != test.far || warns != min(fars, 1) {
			t.Errorf("%s: %s, known %t, %d too far, %d warnings; want %s, %t, %d", name, off, known, fars, warns, test.want, test.known, test.far)
		}
	}
}

// TestOddDate: one Date of another century is in no create that follows, and is reported once.
func TestOddDate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var bodies []string
		r := newRig(t, func(_ *http.Request, body string) reply {
			bodies = append(bodies, body)
			return reply{status: 200, body: fits, header: map[string]string{"Date": "Fri, 01 Jan 2100 00:00:00 GMT"}}
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
