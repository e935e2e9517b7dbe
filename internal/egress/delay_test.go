package egress

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/delayed"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
)

// fakeDelays keeps delayed commands. What is due stays there until a test takes it out.
type fakeDelays struct {
	waiting map[string]delayed.Waiting
	queue   []events.Command
}

func (d *fakeDelays) Schedule(_ context.Context, identity string, cmd events.Command, until time.Time) error {
	if have, known := d.waiting[identity]; known && have.Command.Position != cmd.Position {
		return delayed.ErrOther
	}
	d.waiting[identity] = delayed.Waiting{Command: cmd, Until: until}
	return nil
}

func (d *fakeDelays) Find(_ context.Context, _, identity string) (delayed.Waiting, bool, error) {
	w, found := d.waiting[identity]
	return w, found, nil
}

func (d *fakeDelays) Queued(_ context.Context, _, identity string) (events.Command, bool, error) {
	at := slices.IndexFunc(d.queue, func(cmd events.Command) bool { return cmd.Identity() == identity })
	if at < 0 {
		return events.Command{}, false, nil
	}
	return d.queue[at], true, nil
}

func (d *fakeDelays) Release(context.Context, delayed.Waiting) error { return nil }

// later is the extension of a command that waits for an hour.
func later() []any {
	return []any{"notbefore", time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)}
}

// wait handles a command that is delayed, and then lets its time come.
func (r *rig) wait(cmd events.Command) {
	r.t.Helper()
	if err := r.do(cmd); err != nil {
		r.t.Fatal(err)
	}
	reported := r.stores.results(events.Deferred)
	if len(reported) != 1 || reported[0].result.Error.Code != notbefore.CodeWaiting || r.Count("call") != 0 || r.keys.state() != "" || len(r.delays.waiting) != 1 {
		r.t.Errorf("%d deferred results, the key %q: %s", len(reported), r.keys.state(), r)
	}
	time.Sleep(time.Hour) //nolint:forbidigo // in a synctest bubble
	clear(r.delays.waiting)
	r.again()
}

// TestDelayedKeys: the external keys of a delayed command are looked up when it is due, and its own is reserved then.
func TestDelayedKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Always(made))
		own := upsert("c-1", later()...)
		r.wait(own)
		r.wantDone(r.do(own), events.Applied, "")
		if r.keys.state() != "t-9" || r.Count("call POST") != 1 {
			t.Errorf("the key is %q: %s", r.keys.state(), r)
		}
	})
	synctest.Test(t, func(t *testing.T) { // the object is there by then
		r := newRig(t, apitest.Always(made))
		own := upsert("c-1", later()...)
		r.wait(own)
		r.keys.set("task", "JIRA-17", "t-1")
		for range 2 { // the second time is a redelivery
			if s := r.wantDone(r.do(own), events.Applied, ""); !s.result.Existing || s.result.Resource.ID != "t-1" || r.Count("call") != 0 {
				t.Errorf("the result is %s: %s", s.event.Data(), r)
			}
			r.again()
		}
	})
	synctest.Test(t, func(t *testing.T) { // it names an object that never comes
		r := newRig(t, apitest.Always(made))
		use := command("setTaskState", `{"taskId":{"externalkey":"JIRA-17"},"state":"review"}`, later()...)
		r.wait(use)
		if len(r.stores.ledger) != 1 {
			t.Errorf("the ledger has %d records", len(r.stores.ledger))
		}
		r.wantDone(r.do(use), events.Rejected, "unknown-key")
		if state, err := r.w.Cancel(t.Context(), "urn:test", "c-1"); err != nil || state != notbefore.NotFound || len(r.stores.ledger) != 0 {
			t.Errorf("a rejected command is %s, %v; the ledger has %d records", state, err, len(r.stores.ledger))
		}
	})
	synctest.Test(t, func(t *testing.T) { // it is the same one only with the same key
		r := newRig(t, apitest.Always(made))
		own := upsert("c-1", later()...)
		if err := r.do(own); err != nil {
			t.Fatal(err)
		}
		r.again()
		other := upsert("c-1", append([]any{"onconflict", "update"}, later()...)...)
		other.Position = "FACTRO_COMMANDS:99"
		r.wantDone(r.do(other), events.Rejected, "conflict")
		clear(r.stores.ledger) // before its record was written
		r.again()
		r.wantDone(r.do(other), events.Rejected, "conflict")
		r.again()
		own.Position = "FACTRO_COMMANDS:98"
		if err := r.do(own); err != nil || len(r.delays.waiting) != 1 {
			t.Errorf("sent again: %v, %d wait", err, len(r.delays.waiting))
		}
		if state, err := r.w.Cancel(t.Context(), "urn:test", "c-1"); err != nil || state != notbefore.Cancelled {
			t.Errorf("it is %s, %v", state, err)
		}
		time.Sleep(time.Hour) //nolint:forbidigo // in a synctest bubble
		r.again()
		if s := r.wantCancelled(r.do(own)); r.Count("call") != 0 || r.keys.state() != "" {
			t.Errorf("the result is %s: %s", s.event.Data(), r)
		}
	})
}

// TestCancelQueued: a command with a notbefore can be cancelled before a worker has come to it, also when its time has passed meanwhile.
func TestCancelQueued(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]time.Duration{"early": 0, "due": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, apitest.Always(made))
				own := upsert("c-1", later()...)
				r.delays.queue = []events.Command{own}
				for range 2 {
					if state, err := r.w.Cancel(t.Context(), "urn:test", "c-1"); err != nil || state != notbefore.Cancelled {
						t.Errorf("it is %s, %v", state, err)
					}
				}
				if state, err := r.w.Cancel(t.Context(), "urn:test", "c-2"); err != nil || state != notbefore.NotFound {
					t.Errorf("another one is %s, %v", state, err)
				}
				time.Sleep(wait) //nolint:forbidigo // in a synctest bubble
				if s := r.wantCancelled(r.do(own)); r.Count("call") != 0 || r.keys.state() != "" || len(r.delays.waiting) != 0 {
					t.Errorf("the result is %s: %s", s.event.Data(), r)
				}
			})
		})
	}
}

// wantCancelled wants the result of a cancelled command, and no dead letter.
func (r *rig) wantCancelled(verdict error) sent {
	r.t.Helper()
	s := r.only()
	if verdict != nil || s.result.Outcome != events.Rejected || s.result.Error.Code != notbefore.CodeCancelled {
		r.t.Errorf("the verdict is %v, the result %s", verdict, s.event.Data())
	}
	return s
}
