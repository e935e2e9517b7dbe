package egress

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// tasks is a factro with one list of tasks. A create gets the given answer. A created task is in the list after lag reads.
type tasks struct {
	answers []apitest.Reply
	makes   bool
	lag     int
	there   []string
	made    int
}

func (f *tasks) script(r *http.Request, _ string) apitest.Reply {
	switch {
	case apitest.IsProbe(r):
		return apitest.OK(apitest.Fits)
	case strings.Contains(r.URL.Path, "/packages/"):
		return apitest.OK(`{"id":"p-1","projectId":"r-1"}`)
	case r.Method == http.MethodGet:
		if f.lag--; f.lag >= 0 {
			return apitest.OK("[]")
		}
		return apitest.OK("[" + strings.Join(f.there, ",") + "]")
	}
	a := f.answers[0]
	if len(f.answers) > 1 {
		f.answers = f.answers[1:]
	}
	if f.makes {
		f.made++
		f.there = append(f.there, aTask(fmt.Sprint("new-", f.made), time.Now()))
	}
	return a
}

func aTask(id string, at time.Time) string {
	return fmt.Sprintf(`{"id":%q,"title":"T","parentPackageId":"p-1","creationDate":%q}`, id, at.UTC().Format(time.RFC3339Nano))
}

const look = "made; call GET /api/core/packages/p-1; call GET /api/core/tasks/by-project/r-1; "

// TestFindCreated: the object of a create without an answer is searched for. It is adopted, made again, or left to a human.
func TestFindCreated(t *testing.T) {
	t.Parallel()
	const age = 48 * time.Hour                                  // of the bubble, which begins with the first year that is a date to us
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(age) // in the bubble
	for name, test := range map[string]struct {
		factro  tasks
		outcome events.Outcome
		code    string
		id      string
		calls   int
	}{
		"there":                   {tasks{makes: true}, events.Applied, "", "new-1", 1},
		"there, after a while":    {tasks{makes: true, lag: 1}, events.Applied, "", "new-1", 1},
		"not there":               {tasks{answers: []apitest.Reply{apitest.Reset, apitest.OK(`{"id":"t-9"}`)}}, events.Applied, "", "t-9", 2},
		"never there":             {tasks{}, events.Dead, events.CodeExhausted, "", 8},
		"only older ones":         {tasks{answers: []apitest.Reply{apitest.Reset, apitest.OK(`{"id":"t-9"}`)}, there: []string{aTask("old", now.Add(-25*time.Hour))}}, events.Applied, "", "t-9", 2},
		"one of that day":         {tasks{there: []string{aTask("x", now.Add(-2*time.Hour))}}, events.Dead, events.CodeAmbiguous, "", 1},
		"that day, but another's": {tasks{answers: []apitest.Reply{apitest.Reset, apitest.OK(`{"id":"t-9"}`)}, there: []string{aTask("made", now.Add(-2*time.Hour))}}, events.Applied, "", "t-9", 2},
		"one that is another's":   {tasks{answers: []apitest.Reply{apitest.Reset, apitest.OK(`{"id":"t-9"}`)}, there: []string{aTask("claimed", now), aTask("made", now)}}, events.Applied, "", "t-9", 2},
		"one too many":            {tasks{makes: true, there: []string{aTask("made", now)}}, events.Applied, "", "new-1", 1},
		"one that is like it":     {tasks{there: []string{`{"id":"x","title":"T","parentPackageId":"p-1"}`}}, events.Dead, events.CodeAmbiguous, "", 1},
		"another and one like it": {tasks{makes: true, there: []string{`{"id":"x","title":"T","parentPackageId":"p-1"}`}}, events.Applied, "", "new-1", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(age) //nolint:forbidigo // in a bubble
				if test.factro.answers == nil {
					test.factro.answers = []apitest.Reply{apitest.Reset}
				}
				r := newRig(t, test.factro.script)
				r.stores.claims["acme task claimed"] = "another"
				r.stores.ledger["acme another"] = ledger.Record{Made: []string{"made"}}
				s := r.wantDone(r.do(create()), test.outcome, test.code)
				if s.result.Resource.ID != test.id || r.Count("call POST") != test.calls || s.result.Adopted != (test.id == "new-1") {
					t.Errorf("%s\n%s", s.event.Data(), r)
				}
				if have := r.stores.ledger[ledgerEntry]; have.Result == nil || len(have.Log) != test.calls || test.id != "" && (len(have.Made) != 1 || have.Made[0] != test.id) {
					t.Errorf("the ledger has %+v", have)
				}
			})
		})
	}
}

// TestEqualCreates: a create without an answer does not take the object of an equal one whose answer is still on its way.
func TestEqualCreates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour) //nolint:forbidigo // in a bubble, which begins with the first year that is a date to us
		slow := apitest.Reply{Status: 200, Body: `{"id":"new-1"}`, Delay: 5 * time.Second}
		f := tasks{answers: []apitest.Reply{slow, apitest.Reset, apitest.OK(`{"id":"new-2"}`)}}
		r := newRig(t, func(req *http.Request, body string) apitest.Reply {
			f.makes = len(f.answers) != 2 // the lost one has made nothing
			return f.script(req, body)
		})
		first, second := create(), create()
		second.Event.SetID("c-2")
		done := make(chan error)
		go func() { done <- r.do(first) }()
		synctest.Wait() // it is being called
		verdict := r.do(second)
		if err := <-done; err != nil || verdict != nil {
			t.Errorf("the verdicts are %v, %v", err, verdict)
		}
		ids := map[string]bool{}
		for _, s := range r.stores.results(events.Applied) {
			ids[s.result.Resource.ID] = true
		}
		if len(ids) != 2 || r.Count("call POST") != 3 {
			t.Errorf("the objects are %v: %s", ids, r)
		}
	})
}

// TestEndlessList: a list that never ends blocks the commands only for a limited time.
func TestEndlessList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(req *http.Request, _ string) apitest.Reply {
			switch {
			case req.Method == http.MethodPost:
				return apitest.Reset
			case strings.Contains(req.URL.Path, "/by-project/"):
				return apitest.Reply{Status: 200, Body: "[" + strings.Repeat("1,", 100*64<<10), Drip: 19 * time.Second, Part: 64 << 10}
			}
			return apitest.OK(`{"id":"p-1","projectId":"r-1"}`)
		})
		began := time.Now()
		r.wantDone(r.do(create()), events.Dead, events.CodeAmbiguous)
		if d := time.Since(began); d > 10*time.Minute {
			t.Errorf("it took %s", d)
		}
	})
}

// TestClockOfFirstCreate: the object of the very first create is found, although factro's clock is minutes off and no earlier answer
// has shown that.
func TestClockOfFirstCreate(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-5 * time.Minute, 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Hour) //nolint:forbidigo // in a bubble, which begins with the first year that is a date to us
			f := tasks{answers: []apitest.Reply{apitest.Reset}}
			r := newRig(t, func(req *http.Request, body string) apitest.Reply {
				if req.Method == http.MethodPost {
					f.there = append(f.there, aTask("new-1", time.Now().Add(skew)))
				}
				a := f.script(req, body)
				a.Header = map[string]string{"Date": time.Now().Add(skew).UTC().Format(http.TimeFormat)}
				return a
			})
			if s := r.wantDone(r.do(create()), events.Applied, ""); !s.result.Adopted || r.Count("call POST") != 1 {
				t.Errorf("%s: %s", skew, r)
			}
		})
	}
}

// TestResumes: a create that an earlier delivery has begun is not made again while the earlier call may be running. It does not keep
// others from being carried out meanwhile.
func TestResumes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := tasks{answers: []apitest.Reply{apitest.OK(`{"id":"t-9"}`)}}
		r := newRig(t, f.script)
		j := &job{cmd: create(), startedAt: time.Now()}
		if reason := r.w.prepare(j, nil); reason != nil {
			t.Fatal(reason)
		}
		began := time.Now()
		r.stores.ledger[ledgerEntry] = ledger.Record{Fingerprint: j.record.Fingerprint, StartedAt: began, CalledAt: began}
		wantRetry(t, r.do(create()))
		if d := time.Since(began); d > searchPause || r.Count("call POST") != 0 {
			t.Errorf("it was given back after %s: %s", d, r)
		}
		r.Lines = nil
		time.Sleep(r.w.api.Timeout() + searchPause) //nolint:forbidigo // in a bubble
		r.wantDone(r.do(create()), events.Applied, "")
		want := "begin; save; " + look + look + "save; call POST /api/core/tasks; finish; publish applied"
		if r.String() != want {
			t.Errorf("unexpected steps: %s", r)
		}
	})
}

// TestRedrive: a redrive reopens a command that has ended, but not one that was applied.
func TestRedrive(t *testing.T) {
	t.Parallel()
	redriven := func(sequence string) events.Command {
		c := create()
		c.Redrive = sequence
		return c
	}
	synctest.Test(t, func(t *testing.T) {
		f := tasks{answers: []apitest.Reply{apitest.Reset, apitest.Reset, apitest.OK(`{"id":"t-9"}`)}, there: []string{`{"id":"x","title":"T","parentPackageId":"p-1"}`}}
		r := newRig(t, f.script)
		r.wantDone(r.do(create()), events.Dead, events.CodeAmbiguous)
		r.stores.sent, r.Lines = nil, nil
		s := r.wantDone(r.doAgain(redriven("7")), events.Dead, events.CodeAmbiguous) // called once because of the redrive
		if r.Count("call POST") != 1 || s.id != "acme.c-1.dead.redrive.7"+sourceDigest {
			t.Errorf("published as %s: %s", s.id, r)
		}
		r.stores.sent, r.Lines = nil, nil
		r.wantDone(r.do(redriven("7")), events.Dead, events.CodeAmbiguous) // a redelivery
		if r.Count("call") != 0 {
			t.Errorf("unexpected steps: %s", r)
		}
		r.stores.sent = nil
		if s := r.wantDone(r.doAgain(redriven("8")), events.Applied, ""); s.id != "acme.c-1.applied.redrive.8"+sourceDigest {
			t.Errorf("published as %s", s.id)
		}
		r.stores.sent, r.Lines = nil, nil
		r.wantDone(r.do(redriven("9")), events.Applied, "")
		if r.Count("call") != 0 {
			t.Errorf("what was applied was called again: %s", r)
		}
	})
}

// TestFinishedCommandSkipsGate: a finished command gets its result even while the gate is closed.
func TestFinishedCommandSkipsGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Sequence(apitest.OK(apitest.Fits), apitest.Reply{Status: 429, Header: map[string]string{"Retry-After": "60"}}, apitest.OK(apitest.Fits)))
		r.wantDone(r.do(update()), events.Applied, "")
		c := update()
		c.Event.SetID("c-2")
		get, _ := factro.Lookup("getTask")
		r.w.api.Exchange(t.Context(), coreapi.Attempt{Op: get, Number: 1}, translate.Call{Method: get.Method, Target: "/tasks/t-1"}, apitest.Key)
		r.stores.sent, r.Lines = nil, nil
		began := time.Now()
		spaced := update()
		spaced.Event.DataEncoded = []byte(`{ "title" : "T", "taskId" : "t-1" }`)
		r.wantDone(r.do(spaced), events.Applied, "")
		if r.String() != "look; publish applied" || time.Since(began) != 0 {
			t.Errorf("after %s: %s", time.Since(began), r)
		}
	})
}
