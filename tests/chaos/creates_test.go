package chaos

import (
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// creates are the rows in which factro applies every create and then does not say so.
var creates = []struct {
	name        string
	short, long int
	sim         []string
}{
	{"create applied, connection dropped", 50, 1000, []string{"--fault", "cut-after,op=createTask"}},
	{"create applied, gateway answers 502", 10, 100, []string{"--fault", "html-after,op=createTask"}},
	{"create applied and dropped, factro's clock 5 min ahead", 10, 100, []string{"--fault", "cut-after,op=createTask", "--clock", "5m"}},
	{"create applied and dropped, factro's clock 5 min behind", 10, 100, []string{"--fault", "cut-after,op=createTask", "--clock", "-5m"}},
	{"create dropped before it is applied, or after", 30, 300, []string{"--fault", "cut-after,op=createTask,p=0.5", "--fault", "cut-before,op=createTask,p=0.5"}},
	{"create applied, 200 without a body", 10, 100, []string{"--fault", "empty-after,op=createTask"}},
	{"create applied, 201 without a body", 10, 100, []string{"--fault", "empty-after,op=createTask", "--variant", "createStatus=201"}},
	{"create applied, 201 with half the JSON", 10, 100, []string{"--fault", "cut-json,op=createTask", "--variant", "createStatus=201"}},
	{"create answered with a page, applied or not", 20, 200, []string{"--fault", "page-after,op=createTask,p=0.5", "--fault", "page,op=createTask,p=0.5"}},
}

// TestCreates holds the bridge to one task and one applied for each create.
func TestCreates(t *testing.T) {
	t.Parallel()
	for i, c := range creates {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, times := begin(t, setting{roles: "egress", sim: c.sim}, c.short, c.long)
			w.commands.start(50, times, false)
			w.finish(c.name, 20+i, times)
		})
	}
}

// crashPoints are the places in the course of a create at which a bridge that is built with the tag chaos kills itself. A create that
// is delayed passes after-delay when it is stored until its time, and its message is still in the queue.
var crashPoints = []string{"after-delay", "before-call", "after-call", "after-ledger", "after-result"}

// TestCrashPoints ends the process exactly there, and starts it again without.
func TestCrashPoints(t *testing.T) {
	t.Parallel()
	for i, point := range crashPoints {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			w, times := begin(t, setting{roles: "egress"}, 1, 25)
			n := w.bridges[0]
			for i := range times {
				n.Kill()
				must(t, n.start("FACTRO_BRIDGE_CRASH="+point))
				before := w.commands.count()
				o := makes(before, demoPackage)
				if point == "after-delay" { // its time comes before the next bridge has the lease, or after that
					must(t, await(w.ctx, "the bridge has the lease", func() bool {
						v, _ := n.metric("factro_bridge_active")
						return v == 1
					}))
					o.attributes = map[string]string{attr.NotBefore: time.Now().Add(time.Duration(4+8*(i%2)) * time.Second).UTC().Format(time.RFC3339)}
				}
				w.commands.publish(o)
				must(t, await(w.ctx, "the bridge crashes "+point, n.Ended))
				w.disturb(func() {}, 0, func() error { return n.start() })
				must(t, await(w.ctx, "the command has its result", func() bool {
					return w.books.read(w.ctx) == nil && len(w.books.results) > before
				}))
			}
			w.finish("create, crash "+point, 30+i, times)
		})
	}
}
