package egress

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestRepeated: an idempotent operation is repeated until it succeeds.
func TestRepeated(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string][]apitest.Reply{
		"5xx": {apitest.Broken, apitest.Broken, apitest.OK(apitest.Fits)}, "reset": {apitest.Reset, apitest.Reset, apitest.OK(apitest.Fits)}, "unsent": {apitest.Nowhere, apitest.Nowhere, apitest.OK(apitest.Fits)},
		"cut": {{Status: 200, Body: "{", Cut: true}, {Status: 408}, apitest.OK(apitest.Fits)}, "redirect": {{Status: 302}, {Status: 307}, apitest.OK(apitest.Fits)},
		"hangs": {{Hang: true}, {Hang: true}, apitest.OK(apitest.Fits)},
	} {
		for _, cmd := range []events.Command{update(), remove()} {
			t.Run(name+" "+cmd.Operation, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, apitest.Sequence(answers...))
					began := time.Now()
					s := r.wantDone(r.do(cmd), events.Applied, "")
					if s.result.Attempts != 3 || r.Count("call") != 3 {
						t.Errorf("%d attempts: %s", s.result.Attempts, r)
					}
					if d := time.Since(began); d < 750*time.Millisecond || name != "hangs" && d > 2*time.Second {
						t.Errorf("it took %s, want a backoff", d)
					}
					if r.Count("begin") != 1 || r.Count("finish") != 1 || len(r.stores.ledger[ledgerEntry].Log) != 3 {
						t.Errorf("the ledger has no record: %s", r)
					}
				})
			})
		}
	}
}

// TestExhausted: factro works, but fails on this one command every time.
func TestExhausted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Always(apitest.Broken))
		s := r.wantDone(r.do(update()), events.Dead, "exhausted")
		if s.result.Attempts != 8 || r.Count("call PUT") != 8 || s.result.Status != 503 {
			t.Errorf("%d attempts: %s", s.result.Attempts, r)
		}
		if r.Count("call GET") == 0 {
			t.Errorf("the breaker did not open: %s", r)
		}
	})
}

// TestAmbiguous: a create that may have happened is called exactly once.
func TestAmbiguous(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]apitest.Reply{
		"500": {Status: 500}, "502 with HTML": {Status: 502, Body: "<html>"}, "408": {Status: 408}, "cut": apitest.Reset,
		"body cut after 200": {Status: 200, Body: `{"id":`, Cut: true}, "redirect": {Status: 307}, "no answer": {Hang: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, unsearchable(apitest.Always(answer)))
				s := r.wantDone(r.do(command("createTasks", `{"items":[{"title":"T","targetParentId":"p-1"}]}`)), events.Dead, "ambiguous")
				if r.String() != "begin; call POST /api/core/tasks/tasks; save; finish; publish dead" || s.result.Attempts != 1 {
					t.Errorf("unexpected steps: %s", r)
				}
				if s.result.Status != answer.Status {
					t.Errorf("the status is %d", s.result.Status)
				}
			})
		})
	}
}

// TestCutRefusal: a status that refuses the command counts, even if the body is cut off.
func TestCutRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Sequence(apitest.Reply{Status: 429, Cut: true}, apitest.Reply{Status: 422, Body: "bad ti", Cut: true}))
		s := r.wantDone(r.do(create()), events.Rejected, "refused")
		if s.result.Status != 422 || r.Count("call POST") != 2 {
			t.Errorf("the result is %s: %s", s.event.Data(), r)
		}
	})
}

// TestUnsentCreate: a create that was never sent cannot have happened.
func TestUnsentCreate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Sequence(apitest.Nowhere, apitest.Nowhere, apitest.OK(`{"id":"t-9"}`)))
		s := r.wantDone(r.do(create()), events.Applied, "")
		want := "begin; " + strings.Repeat("call POST /api/core/tasks; release; save; ", 2) + "call POST /api/core/tasks; finish; publish applied"
		if r.String() != want || s.result.Attempts != 3 {
			t.Errorf("unexpected steps: %s", r)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Always(apitest.Nowhere))
		s := r.wantDone(r.do(create()), events.Dead, "exhausted")
		if s.result.Attempts != 8 || s.result.Status != 0 {
			t.Errorf("the result is %s", s.event.Data())
		}
	})
}

// TestExpiresWhileWaiting: a command is not carried out after its expirytime, even if it expires while the gate is closed.
func TestExpiresWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Sequence(apitest.Reply{Status: 429, Header: map[string]string{"Retry-After": "60"}}, apitest.OK(apitest.Fits)))
		c := create()
		c.Event.SetExtension("expirytime", time.Now().Add(30*time.Second))
		r.wantDone(r.do(c), events.Rejected, "expired")
		if r.Count("call") != 1 || len(r.stores.ledger) != 0 {
			t.Errorf("unexpected steps: %s", r)
		}
	})
	synctest.Test(t, func(t *testing.T) { // but a command that factro may have begun goes on
		r := newRig(t, apitest.Sequence(apitest.Reply{Hang: true}, apitest.OK(apitest.Fits)))
		c := update()
		c.Event.SetExtension("expirytime", time.Now().Add(5*time.Second))
		r.wantDone(r.do(c), events.Applied, "")
	})
}

func TestLedgerAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Always(apitest.OK(`{"id":"t-9"}`)))
		first := r.wantDone(r.do(create()), events.Applied, "")
		if r.String() != "begin; call POST /api/core/tasks; finish; publish applied" {
			t.Errorf("unexpected steps: %s", r)
		}

		// A redelivery, a while later.
		r.stores.sent, r.Lines = nil, nil
		time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
		again := r.wantDone(r.do(create()), events.Applied, "")
		if r.String() != "begin; publish applied" || string(again.event.Data()) != string(first.event.Data()) || again.id != first.id || again.subject != first.subject {
			t.Errorf("%s, with\n%s, want\n%s", r, again.event.Data(), first.event.Data())
		}

		// Another command with the same id.
		r.stores.sent, r.Lines = nil, nil
		other := create()
		other.Event.DataEncoded = []byte(`{"title":"other","targetParentId":"p-1"}`)
		r.wantDone(r.do(other), events.Rejected, "conflict")
		if r.String() != "begin; publish rejected" {
			t.Errorf("unexpected steps: %s", r)
		}
	})
	synctest.Test(t, func(t *testing.T) { // the ledger keeps a rejection like any other outcome
		r := newRig(t, apitest.Always(apitest.Reply{Status: 403, Body: "no"}))
		r.wantDone(r.do(create()), events.Rejected, "refused")
		r.stores.sent, r.Lines = nil, nil
		r.wantDone(r.do(create()), events.Rejected, "refused")
		if r.Count("call") != 0 {
			t.Errorf("unexpected steps: %s", r)
		}
	})
}

// TestInterrupted: the process died between the ledger and the result.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	r := newRig(t, unsearchable(apitest.Always(apitest.OK(apitest.Fits))))
	j := &job{cmd: create(), startedAt: time.Now()}
	if reason := r.w.prepare(j, nil); reason != nil {
		t.Fatal(reason)
	}
	r.stores.ledger[ledgerEntry] = ledger.Record{Fingerprint: j.record.Fingerprint, CalledAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	s := r.wantDone(r.do(create()), events.Dead, "ambiguous")
	if r.String() != "begin; save; made; call GET /api/core/packages/p-1; finish; publish dead" || !strings.Contains(s.result.Error.Message, "2026-01-02T03:04:05Z") {
		t.Errorf("%s: %s", r, s.event.Data())
	}
	if r.stores.ledger[ledgerEntry].Result == nil {
		t.Error("the ledger does not remember the verdict")
	}
}

func TestBeginFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
	r.stores.fail = func(string) error { return errors.New("no ledger") }
	if verdict := r.do(create()); verdict == nil || r.String() != "begin" {
		t.Errorf("verdict %v: %s", verdict, r)
	}
}

// TestRetriesUntilStopped: once the call is made, its result is written, however long NATS is unavailable.
func TestRetriesUntilStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Sequence(apitest.Nowhere, apitest.OK(`{"id":"t-9"}`)))
		began := time.Now()
		r.stores.fail = func(step string) error {
			if step != "begin" && time.Since(began) < 10*time.Minute || step == "publish applied" && time.Since(began) < 20*time.Minute {
				return errors.New("NATS is away")
			}
			return nil
		}
		r.wantDone(r.do(create()), events.Applied, "")
		if r.Count("call") != 2 || time.Since(began) > 22*time.Minute {
			t.Errorf("after %s: %s", time.Since(began), r)
		}
		if n := r.Count("forget") + r.Count("finish") + r.Count("publish"); n > 120 {
			t.Errorf("%d tries in 20 minutes are a hot loop", n)
		}
	})
}

// TestStop: whatever the worker does when the bridge stops, the ledger records every call that may have been made.
func TestStop(t *testing.T) {
	t.Parallel()
	const stopAt, grace = 1 * time.Second, 5 * time.Second
	late := func(unsent bool) func(*http.Request, string) apitest.Reply {
		return func(r *http.Request, _ string) apitest.Reply {
			if unsent { // dialing hangs
				<-r.Context().Done()
				return apitest.Nowhere
			}
			return apitest.Reply{Hang: true}
		}
	}
	throttledFor := apitest.Always(apitest.Reply{Status: 429, Header: map[string]string{"Retry-After": "60"}})
	for name, test := range map[string]struct {
		cmd     events.Command
		script  func(*http.Request, string) apitest.Reply
		retry   bool // at once, without a backoff
		entries int
		calls   int
		within  time.Duration
	}{
		"at the gate":           {create(), throttledFor, true, 0, 1, stopAt},
		"between attempts":      {update(), apitest.Always(apitest.Broken), true, 1, 2, stopAt},
		"create, between":       {create(), apitest.Always(apitest.Nowhere), true, 0, 2, stopAt},
		"during the call":       {create(), late(false), false, 1, 1, stopAt + grace},
		"while dialling":        {create(), late(true), false, 0, 1, stopAt + grace},
		"during another's call": {update(), late(false), false, 1, 1, stopAt + grace},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, test.script, func(c *coreapi.Config) { c.Timeout = time.Minute })
				stopping, stop := context.WithTimeout(t.Context(), stopAt)
				defer stop()
				ctx, end := context.WithTimeout(t.Context(), stopAt+grace)
				defer end()
				began := time.Now()
				verdict := r.w.Handle(ctx, stopping, test.cmd, nil)
				if verdict == nil {
					t.Fatal("the command is settled")
				}
				if test.retry {
					wantRetry(t, verdict)
				}
				if d := time.Since(began); d > test.within {
					t.Errorf("it took %s, want %s", d, test.within)
				}
				entries := 0
				if !r.stores.ledger[ledgerEntry].Open {
					entries++
				}
				if len(r.stores.ledger) != 1 || entries != test.entries || r.Count("call") < 1 || r.Count("call") > 4 {
					t.Errorf("%d entries: %s", entries, r)
				}
				if n := len(r.stores.results(events.Applied)) + len(r.stores.results(events.Dead)) + len(r.stores.results(events.Rejected)); n != 0 {
					t.Errorf("a final result was published: %s", r)
				}
			})
		})
	}
}

// TestAnswerDuringShutdown: an answer that arrives when the grace period ends is still written to the ledger and published.
func TestAnswerDuringShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		r := newRig(t, func(*http.Request, string) apitest.Reply { end(); return apitest.Reply{Status: 204} })
		r.wantDone(r.w.Handle(ctx, ctx, update(), nil), events.Applied, "")
		if r.stores.ledger[ledgerEntry].Result == nil {
			t.Errorf("the ledger does not know: %s", r)
		}
	})
	synctest.Test(t, func(t *testing.T) { // but it does not delay the shutdown if NATS is unavailable
		ctx, end := context.WithCancel(t.Context())
		r := newRig(t, func(*http.Request, string) apitest.Reply { end(); return apitest.Reply{Status: 204} })
		r.stores.fail = func(step string) error {
			if step == "finish" {
				return errors.New("away")
			}
			return nil
		}
		began := time.Now()
		if verdict := r.w.Handle(ctx, ctx, update(), nil); verdict == nil || time.Since(began) > time.Second {
			t.Errorf("verdict %v after %s: %s", verdict, time.Since(began), r)
		}
		if have := r.stores.ledger[ledgerEntry]; have.Fingerprint == "" {
			t.Error("an update that was made is forgotten")
		}
	})
}
