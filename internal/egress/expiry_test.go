package egress

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestExpiredRedelivery: a command that an earlier delivery has begun or finished is not rejected if it has expired since.
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
		"begun":    {ledger.Record{}, "", events.Applied, "", "look; begin; save; " + look + "look; begin; save; " + look + look + "made; claim; finish; publish applied"},
		"open":     {ledger.Record{Open: true}, "", events.Rejected, events.CodeExpired, "look; publish rejected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := tasks{there: []string{aTask("new-1", time.Now())}}
				r := newRig(t, f.script)
				record := test.record
				record.Fingerprint, record.StartedAt, record.CalledAt = fingerprintOf(t, r, expired), time.Now(), time.Now()
				if test.result != "" {
					record.Result = []byte(test.result)
				}
				r.stores.ledger[ledgerEntry] = record
				r.wantDone(r.doAgain(expired), test.want, test.code)
				if r.String() != test.happens {
					t.Errorf("unexpected steps: %s", r)
				}
			})
		})
	}
}

// TestInterruptedDoesNotExpire: a command for which an earlier delivery may have made a call goes on, even if it expires while it
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
					record.Fingerprint, record.StartedAt, record.CalledAt = fingerprintOf(t, r, c), time.Now(), time.Now()
					r.stores.ledger[ledgerEntry] = record
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
		have := ledger.Record{Fingerprint: fingerprintOf(t, r, c), Result: []byte(`{"operation":"updateTask","outcome":"applied"}`)}
		time.AfterFunc(10*time.Second, func() {
			r.stores.mu.Lock()
			defer r.stores.mu.Unlock()
			r.stores.ledger[ledgerEntry] = have
		})
		r.wantDone(r.do(c), events.Applied, "")
		if r.Count("call") != 0 || r.Count("begin") != 0 {
			t.Errorf("what happened: %s", r)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r, c := waiting(t)
		lost, began := errors.New("no leader"), time.Now()
		r.stores.fail = func(step string) error {
			if step == "look" && time.Since(began) >= 10*time.Second {
				return lost
			}
			return nil
		}
		if verdict := r.do(c); !errors.Is(verdict, lost) || r.Count("call") != 0 || len(r.stores.sent) != len(r.stores.results(events.Deferred)) {
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
		r.stores.fail = func(step string) error {
			if step == "look" {
				return lost
			}
			return nil
		}
		if verdict := r.do(c); !errors.Is(verdict, lost) || len(r.stores.sent) > 0 || r.Count("call") != 0 {
			t.Errorf("%s: verdict %v: %s", name, verdict, r)
		}
	}
}

func fingerprintOf(t *testing.T, r *rig, c events.Command) string {
	t.Helper()
	j := &job{cmd: c}
	if reason := r.w.prepare(j, nil); reason != nil {
		t.Fatal(reason)
	}
	return j.record.Fingerprint
}

// TestTakenOver: before a worker repeats an update, it checks the ledger. Another bridge may have carried out this command and the
// commands after it.
func TestTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Sequence(apitest.Reset, apitest.OK(apitest.Fits)))
		saves := 0
		r.stores.fail = func(step string) error {
			if step == "save" {
				if saves++; saves == 2 {
					return ledger.ErrTaken
				}
			}
			return nil
		}
		if verdict := r.do(update()); !errors.Is(verdict, ledger.ErrTaken) || r.Count("call PUT") != 1 || r.Count("publish") != 0 {
			t.Errorf("verdict %v: %s", verdict, r)
		}
	})
}

// TestLateObjects: an object that shows up late is not created again, neither after a timeout nor after a redrive.
func TestLateObjects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := tasks{answers: []apitest.Reply{{Hang: true}}}
		r := newRig(t, f.script)
		r.api.Script = func(req *http.Request, body string) apitest.Reply {
			if time.Since(began) > r.w.api.Timeout()+2*searchPause {
				f.there = []string{aTask("new-1", began)}
			}
			return f.script(req, body)
		}
		s := r.wantDone(r.do(create()), events.Applied, "")
		if !s.result.Adopted || r.Count("call POST") != 1 {
			t.Errorf("unexpected steps: %s", r)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := tasks{answers: []apitest.Reply{apitest.Reset}}
		r := newRig(t, f.script)
		r.wantDone(r.do(create()), events.Dead, events.CodeExhausted)
		f.there = []string{aTask("new-1", time.Now())}
		r.stores.sent, r.Lines = nil, nil
		c := create()
		c.Redrive = "7"
		s := r.wantDone(r.doAgain(c), events.Applied, "")
		if !s.result.Adopted || r.Count("call POST") != 0 {
			t.Errorf("unexpected steps: %s", r)
		}
	})
}

// TestEarlierRecords: records of older bridges have a fingerprint of the bytes of the data.
func TestEarlierRecords(t *testing.T) {
	t.Parallel()
	r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
	c := create()
	sum := sha256.Sum256(append([]byte("createTask\n"), c.Event.Data()...))
	r.stores.ledger[ledgerEntry] = ledger.Record{
		Fingerprint: hex.EncodeToString(sum[:]), Result: []byte(`{"operation":"createTask","outcome":"applied"}`),
	}
	r.wantDone(r.do(c), events.Applied, "")
	if r.Count("call") != 0 {
		t.Errorf("unexpected steps: %s", r)
	}
}
