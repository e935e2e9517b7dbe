package query

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
)

// empty takes all tokens, so that what comes next has to wait for its share.
func (x *reading) empty() {
	x.t.Helper()
	began := time.Now()
	for range 480 / 30 {
		if err := x.core.AwaitSlot(x.t.Context(), nil); err != nil || time.Since(began) != 0 {
			x.t.Fatal("the bucket was not full", err)
		}
	}
}

// TestSharedQuery: equal queries that wait for their share of the budget together are one call, and one object.
func TestSharedQuery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newReading(t, func(r *http.Request, _ string) apitest.Reply {
			return apitest.Reply{Status: 200, Body: apitest.Long(r, 1<<12), Delay: time.Second}
		})
		x.empty()
		answers := make([]queries.Answer, 50)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = x.ask(query("listTasks", "{}")) })
		}
		all.Go(func() { x.ask(getTask("t-1")) })
		all.Wait()
		if x.Count("call GET /api/core/tasks/t-1") != 1 || x.Count("call") != 2 || len(x.store.Kept) != 2 {
			t.Errorf("what happened: %s; in the store are %d", x, len(x.store.Kept))
		}
		for _, a := range answers {
			if a.Error != nil || a.Object == nil || *a.Object != *answers[0].Object {
				t.Errorf("the answer is %+v, the first was %+v", a, answers[0])
			}
		}
		if x.ask(query("listTasks", "{}")); x.Count("call") != 3 {
			t.Errorf("an answer that was there was given again: %s", x)
		}
	})
}

// TestNextQuery: who asks while a call is under way may know of a change that came after it was made. All of them share the
// next call, which is made when that one has landed.
func TestNextQuery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var state atomic.Int32
		x := newReading(t, func(*http.Request, string) apitest.Reply {
			return apitest.Reply{Status: 200, Body: fmt.Sprintf(`{"id":"%d"}`, state.Load()), Delay: 3 * time.Second}
		})
		began := time.Now()
		var all sync.WaitGroup
		for n := range int32(3) { // ask, and a second later change, 50 times each
			state.Store(n)
			for range 50 {
				all.Go(func() {
					asked := state.Load()
					var got int32
					if a := x.ask(getTask("t-1")); a.Error != nil {
						t.Errorf("the answer is %+v", a.Error)
					} else if _, err := fmt.Sscanf(string(a.Data), `{"id":"%d"}`, &got); err != nil || got < asked {
						t.Errorf("asked when it was %d, the answer is %s", asked, a.Data)
					}
				})
			}
			time.Sleep(time.Second) //nolint:forbidigo // in a bubble
		}
		all.Wait()
		if x.Count("call") > 2 || x.api.At[len(x.api.At)-1].Sub(began)%(3*time.Second) != 0 {
			t.Errorf("what happened: %s, at %v", x, x.api.At)
		}
	})
}

// TestSharedQueryLeft: who leaves does so alone, and the last one ends the call.
func TestSharedQueryLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newReading(t, apitest.Always(apitest.Reply{Status: 200, Body: apitest.Fits, Delay: 5 * time.Second}))
		x.empty()
		var all sync.WaitGroup
		first, leave := context.WithCancel(t.Context())
		all.Go(func() { x.wantError(x.r.Query(first, getTask("t-1")), 503, "unavailable") })
		synctest.Wait()
		all.Go(func() {
			if a := x.ask(getTask("t-1")); a.Error != nil {
				t.Errorf("the one who stayed got %+v", a.Error)
			}
		})
		synctest.Wait()
		leave()
		all.Wait()
		if x.Count("call") != 1 {
			t.Errorf("what happened: %s", x)
		}

		x.api.Script = apitest.Always(apitest.Reply{Hang: true})
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		all.Go(func() { x.r.Query(ctx, getTask("t-2")) })
		synctest.Wait()
		cancel()
		all.Wait()
		synctest.Wait()
		if err := x.api.Seen[1].Context().Err(); err == nil || time.Since(began) != 0 || x.core.Failures() != 0 {
			t.Errorf("the call goes on: %v, after %s", err, time.Since(began))
		}
	})
}

// TestNextQueryLeft: who waits for the next call and leaves takes that one with him, and not the one that is under way.
func TestNextQueryLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newReading(t, apitest.Always(apitest.Reply{Status: 200, Body: apitest.Fits, Delay: 5 * time.Second}))
		var all sync.WaitGroup
		all.Go(func() {
			if a := x.ask(getTask("t-1")); a.Error != nil {
				t.Errorf("the first one got %+v", a.Error)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		x.wantError(x.r.Query(ctx, getTask("t-1")), 503, "unavailable")
		all.Wait()
		synctest.Wait()
		if fs := &x.r.flights; x.Count("call") != 1 || len(fs.boarding)+len(fs.departed) != 0 {
			t.Errorf("what happened: %s; %d flights are left", x, len(fs.boarding)+len(fs.departed))
		}
	})
}

// TestQueryAfterCommand: who knows that a command was carried out is not answered with what was read before.
func TestQueryAfterCommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newReading(t, apitest.Always(apitest.Reply{Status: 200, Body: "[]", Delay: time.Second}))
		var all sync.WaitGroup
		all.Go(func() { x.ask(query("listTasks", "{}")) })
		synctest.Wait()
		x.api.Script = apitest.Always(apitest.OK(`{"id":"t-9"}`))
		x.command("createTask", "/tasks")
		x.api.Script = apitest.Always(apitest.OK(`[{"id":"t-9"}]`))
		if a := x.ask(query("listTasks", "{}")); string(a.Data) != `[{"id":"t-9"}]` {
			t.Errorf("the answer is %s: %s", a.Data, x)
		}
		all.Wait()
	})
}
