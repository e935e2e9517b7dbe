package egress

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/translate/compare"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestExpiredRedelivery: what an earlier delivery has begun or finished is not said to be rejected because its time has
// passed since.
func TestExpiredRedelivery(t *testing.T) {
	t.Parallel()
	expired := create()
	expired.Event.SetExtension("expirytime", time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)) // before the time in the bubble
	for name, test := range map[string]struct {
		record  ledger.Record
		result  string
		want    events.Outcome
		code    string
		happens string
	}{
		"finished": {ledger.Record{}, `{"operation":"createTask","outcome":"applied"}`, events.Applied, "", "look; publish applied"},
		"begun":    {ledger.Record{}, "", events.Applied, "", "look; begin; save; " + look + "claim; finish; publish applied"},
		"open":     {ledger.Record{Open: true}, "", events.Rejected, events.CodeExpired, "look; publish rejected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := tasks{there: []string{aTask("new-1", time.Now())}}
				r := newRig(t, f.script)
				record := test.record
				record.Fingerprint, record.StartedAt, record.CalledAt = printOf(t, r, expired), time.Now(), time.Now()
				if test.result != "" {
					record.Result = []byte(test.result)
				}
				r.desk.ledger[ledgerEntry] = record
				r.wantDone(r.do(expired), test.want, test.code)
				if r.String() != test.happens {
					t.Errorf("what happened: %s", r)
				}
			})
		})
	}
}

// TestInterruptedDoesNotExpire: what an earlier delivery may have called is carried on with, also if its time passes while it
// waits for factro.
func TestInterruptedDoesNotExpire(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		record *ledger.Record // of an earlier delivery
		want   events.Outcome
		code   string
	}{
		"a call may have been made": {&ledger.Record{}, events.Applied, ""},
		"no call was made":          {&ledger.Record{Open: true}, events.Rejected, events.CodeExpired},
		"the first delivery":        {nil, events.Rejected, events.CodeExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				throttled := apitest.Reply{Status: 429, Header: map[string]string{"Retry-After": "60"}}
				r := newRig(t, apitest.Sequence(throttled, apitest.OK(apitest.Fits)))
				c := update()
				c.Event.SetExtension("expirytime", time.Now().Add(30*time.Second))
				if test.record != nil {
					record := *test.record
					record.Fingerprint, record.StartedAt, record.CalledAt = printOf(t, r, c), time.Now(), time.Now()
					r.desk.ledger[ledgerEntry] = record
				}
				r.wantDone(r.do(c), test.want, test.code)
			})
		})
	}
}

// TestExpiredWhileAway: a command whose time passes while it waits for factro has the result that another bridge has reached
// meanwhile, and none at all as long as the ledger cannot say whether there is one.
func TestExpiredWhileAway(t *testing.T) {
	t.Parallel()
	waiting := func(t *testing.T) (*rig, events.Command) {
		t.Helper()
		r := newRig(t, func(*http.Request, string) apitest.Reply {
			return apitest.Reply{Status: 429, Header: map[string]string{"Retry-After": "60"}}
		})
		r.w.api.Exchange(t.Context(), coreapi.Attempt{Op: coreapi.Probe, Number: 1}, probeCall, apitest.Key)
		r.Lines = nil
		c := update()
		c.Event.SetExtension("expirytime", time.Now().Add(30*time.Second))
		return r, c
	}
	synctest.Test(t, func(t *testing.T) {
		r, c := waiting(t)
		have := ledger.Record{Fingerprint: printOf(t, r, c), Result: []byte(`{"operation":"updateTask","outcome":"applied"}`)}
		time.AfterFunc(10*time.Second, func() { r.desk.ledger[ledgerEntry] = have })
		r.wantDone(r.do(c), events.Applied, "")
		if r.Count("call") != 0 || r.Count("begin") != 0 {
			t.Errorf("what happened: %s", r)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r, c := waiting(t)
		lost := errors.New("no leader")
		time.AfterFunc(10*time.Second, func() {
			r.desk.fail = func(step string) error {
				if step == "look" {
					return lost
				}
				return nil
			}
		})
		if verdict := r.do(c); !errors.Is(verdict, lost) || r.Count("call") != 0 || len(r.desk.sent) != len(r.desk.results(events.Deferred)) {
			t.Errorf("verdict %v: %s", verdict, r)
		}
	})
}

// TestExpiredUnreadable: as long as the ledger cannot say what became of an expired command, it has no result.
func TestExpiredUnreadable(t *testing.T) {
	t.Parallel()
	canary := command(events.OperationCanary, `{}`)
	canary.Resource = events.ResourceBridge
	for name, c := range map[string]events.Command{"a command": update(), "a canary": canary} {
		c.Event.SetExtension("expirytime", time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC))
		r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
		lost := errors.New("no leader")
		r.desk.fail = func(step string) error {
			if step == "look" {
				return lost
			}
			return nil
		}
		if verdict := r.do(c); !errors.Is(verdict, lost) || len(r.desk.sent) > 0 || r.Count("call") != 0 {
			t.Errorf("%s: verdict %v: %s", name, verdict, r)
		}
	}
}

func printOf(t *testing.T, r *rig, c events.Command) string {
	t.Helper()
	j := &job{cmd: c}
	if reason := r.w.plan(j, nil); reason != nil {
		t.Fatal(reason)
	}
	return j.record.Fingerprint
}

// TestTakenOver: who repeats an update asks the ledger first. Another bridge may have carried it out meanwhile, and what
// came after it.
func TestTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Sequence(apitest.Reset, apitest.OK(apitest.Fits)))
		saves := 0
		r.desk.fail = func(step string) error {
			if step == "save" {
				if saves++; saves == 2 {
					return bus.ErrTaken
				}
			}
			return nil
		}
		if verdict := r.do(update()); !errors.Is(verdict, bus.ErrTaken) || r.Count("call PUT") != 1 || r.Count("publish") != 0 {
			t.Errorf("verdict %v: %s", verdict, r)
		}
	})
}

// TestLateObjects: what shows up late is not made again, neither after a call that timed out nor by an operator's word.
func TestLateObjects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := tasks{answers: []apitest.Reply{{Hang: true}}}
		r := newRig(t, f.script)
		r.api.Script = func(req *http.Request, body string) apitest.Reply {
			if time.Since(began) > r.w.api.Timeout()+2*lookPause {
				f.there = []string{aTask("new-1", began)}
			}
			return f.script(req, body)
		}
		s := r.wantDone(r.do(create()), events.Applied, "")
		if !s.result.Adopted || r.Count("call POST") != 1 {
			t.Errorf("what happened: %s", r)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := tasks{answers: []apitest.Reply{apitest.Reset}}
		r := newRig(t, f.script)
		r.wantDone(r.do(create()), events.Dead, events.CodeExhausted)
		f.there = []string{aTask("new-1", time.Now())}
		r.desk.sent, r.Lines = nil, nil
		c := create()
		c.Redrive = "7"
		s := r.wantDone(r.do(c), events.Applied, "")
		if !s.result.Adopted || r.Count("call POST") != 0 {
			t.Errorf("what happened: %s", r)
		}
	})
}

// TestEarlierRecords: the records of earlier versions of the bridge are of the data as it was written.
func TestEarlierRecords(t *testing.T) {
	t.Parallel()
	r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
	c := create()
	sum := sha256.Sum256(append([]byte("createTask\n"), c.Event.Data()...))
	r.desk.ledger[ledgerEntry] = ledger.Record{
		Fingerprint: hex.EncodeToString(sum[:]), Result: []byte(`{"operation":"createTask","outcome":"applied"}`),
	}
	r.wantDone(r.do(c), events.Applied, "")
	if r.Count("call") != 0 {
		t.Errorf("what happened: %s", r)
	}
}

// TestSightingBounds: of what a list shows, only so much is kept.
func TestSightingBounds(t *testing.T) {
	t.Parallel()
	var seen sighting
	for range maxSeen + 1 {
		seen.add([]compare.Item{{Likeness: compare.Equal, ID: "x"}}, nil)
	}
	large := json.RawMessage(strings.Repeat("x", maxSeenBytes/2))
	var kept sighting
	for range 4 {
		kept.add([]compare.Item{{Likeness: compare.Equal, ID: "x", JSON: large}, {Likeness: compare.Doubtful, ID: "y", JSON: large}}, nil)
	}
	if len(kept.equal) != 1 || !kept.more || len(kept.doubts) == 0 || kept.doubts[0].JSON != nil {
		t.Errorf("%d large ones and %d doubts are kept", len(kept.equal), len(kept.doubts))
	}
	if len(seen.equal) != maxSeen || !seen.more || !strings.Contains(seen.doubt(), "more than 100") {
		t.Errorf("%d are kept: %s", len(seen.equal), seen.doubt())
	}
}
