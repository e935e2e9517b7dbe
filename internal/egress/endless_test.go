package egress

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestQueryHarmsNoCommand: a list that factro always fails on, or never answers, is no reason to stop the commands.
func TestQueryHarmsNoCommand(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]reply{
		"500": {status: 500}, "hangs": {hang: true}, "cut": {status: 200, body: "[", cut: true}, "redirect": {status: 302},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := newReading(t, func(r *http.Request, _ string) reply {
					if strings.HasSuffix(r.URL.Path, "/tasks") {
						return answer
					}
					return ok(fits)
				})
				for n := range 30 {
					if a := x.ask(query("listTasks", "{}")); a.Error == nil || a.Error.Code != "unavailable" {
						t.Errorf("the answer is %+v", a)
					}
					began := time.Now()
					x.desk.sent = nil
					c := update()
					c.Event.SetID(fmt.Sprint("c-", n))
					if x.wantDone(x.do(c), events.Applied, ""); time.Since(began) != 0 {
						t.Errorf("the command waited %s", time.Since(began))
					}
				}
				if x.count("call") != 60 {
					t.Errorf("what happened: %s", x)
				}
			})
		})
	}
}

// TestQuerySlowShelf: how long the place for an answer takes is not factro's fault, and the answer waits for it.
func TestQuerySlowShelf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newReading(t, func(r *http.Request, _ string) reply { return ok(long(r, 1<<20)) })
		x.shelf.wait = 25 * time.Second // more than the timeout of a call
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				if a := x.ask(getTask(fmt.Sprint(i))); a.Error != nil || a.Object == nil || a.Object.Size != 1<<20 {
					t.Errorf("the answer is %+v with %+v", a, a.Error)
				}
			})
		}
		all.Wait()
		if c := x.w.gate.breaker.Counts(); c.TotalFailures != 0 {
			t.Errorf("the breaker counts %+v", c)
		}
	})
}

// TestQueryTakesItsTime: a large answer may take longer than the timeout, but none may take for ever, and what comes byte by
// byte is not worth waiting for.
func TestQueryTakesItsTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		size, part int // bytes; each part takes nearly the timeout
		status     int
		most       time.Duration
	}{
		"large":        {20 * stretch, stretch, 200, queryTimeout},
		"endless":      {200 * stretch, stretch, 504, queryTimeout},
		"byte by byte": {1000, 1, 504, 20 * time.Second},
		"small, slow":  {1 << 10, 1, 504, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := newReading(t, func(r *http.Request, _ string) reply {
					return reply{status: 200, body: long(r, test.size), drip: 19 * time.Second, part: test.part}
				})
				x.shelf.most = stretch
				began := time.Now()
				a := x.ask(query("listTasks", "{}"))
				if d := time.Since(began); a.Status != test.status || d > test.most {
					t.Errorf("after %s: %+v with %+v", d, a, a.Error)
				}
			})
		})
	}
}
