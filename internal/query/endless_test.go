package query

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
)

// TestQueryHarmsNoCommand: a list that factro always fails on, or never answers, is no reason to stop the commands.
func TestQueryHarmsNoCommand(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]apitest.Reply{
		"500": {Status: 500}, "hangs": {Hang: true}, "cut": {Status: 200, Body: "[", Cut: true}, "redirect": {Status: 302},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := newReading(t, func(r *http.Request, _ string) apitest.Reply {
					if strings.HasSuffix(r.URL.Path, "/tasks") {
						return answer
					}
					return apitest.OK(apitest.Fits)
				})
				for range 30 {
					if a := x.ask(query("listTasks", "{}")); a.Error == nil || a.Error.Code != "unavailable" {
						t.Errorf("the answer is %+v", a)
					}
					began := time.Now()
					if x.update(); time.Since(began) != 0 {
						t.Errorf("the command waited %s", time.Since(began))
					}
				}
				if x.Count("call") != 60 {
					t.Errorf("what happened: %s", x)
				}
			})
		})
	}
}

// TestQuerySlowStore: how long the place for an answer takes is not factro's fault, and the answer waits for it.
func TestQuerySlowStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newReading(t, func(r *http.Request, _ string) apitest.Reply { return apitest.OK(apitest.Long(r, 1<<20)) })
		x.store.Wait = 25 * time.Second // more than the timeout of a call
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				if a := x.ask(getTask(fmt.Sprint(i))); a.Error != nil || a.Object == nil || a.Object.Size != 1<<20 {
					t.Errorf("the answer is %+v with %+v", a, a.Error)
				}
			})
		}
		all.Wait()
		if c := x.core.Failures(); c != 0 {
			t.Errorf("the breaker counts %+v", c)
		}
	})
}

// step is how much of an answer has to come within each timeout.
const step = 64 << 10

// TestQueryTakesItsTime: a large answer may take longer than the timeout, but none may go on without limit, and what comes byte by
// byte is not worth waiting for.
func TestQueryTakesItsTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		size, part int // bytes; each part takes nearly the timeout
		status     int
		most       time.Duration
	}{
		"large":        {20 * step, step, 200, coreapi.QueryTimeout},
		"endless":      {200 * step, step, 504, coreapi.QueryTimeout},
		"byte by byte": {1000, 1, 504, 20 * time.Second},
		"small, slow":  {1 << 10, 1, 504, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := newReading(t, func(r *http.Request, _ string) apitest.Reply {
					return apitest.Reply{Status: 200, Body: apitest.Long(r, test.size), Drip: 19 * time.Second, Part: test.part}
				})
				x.store.Most = step
				began := time.Now()
				a := x.ask(query("listTasks", "{}"))
				if d := time.Since(began); a.Status != test.status || d > test.most {
					t.Errorf("after %s: %+v with %+v", d, a, a.Error)
				}
			})
		})
	}
}
