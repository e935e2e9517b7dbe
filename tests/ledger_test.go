package tests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// The process dies after the call of a create: there is one task and one final result. The other points at which it can
// die are in the suite of tests/chaos.
func TestCrashPoints(t *testing.T) {
	t.Parallel()
	crashing, err := crashing()
	if err != nil {
		t.Fatal(err)
	}
	for _, point := range []string{"after-call"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			n := natstest.Start(t)
			f := startFactro(t, sim.Config{})
			b := newBridge(t, bridgeConfig{
				nats: n.URL(), clouds: map[string]string{"acme": f.url}, env: []string{"FACTRO_BRIDGE_CRASH=" + point, "FACTRO_BRIDGE_CRASH_AT=2"},
			})
			b.binary = crashing
			b.start()
			_, js := n.Connect(t)
			results := watchStream(t, js, prefix.ResultStream("acme"))
			send(t, js, "acme", "createTask", "first", newTask(f, "gleich"))
			results.finalOf(t, "first")
			send(t, js, "acme", "createTask", "second", newTask(f, "gleich")) // equal to the one before, and not the same
			<-b.exited
			b.env = nil
			b.start()
			waitFor(t, "the command is settled", func() bool { return queued(t, js) == 0 })
			if r := results.finalOf(t, "second"); r.Outcome != events.Applied || r.Resource == nil || r.Resource.ID == results.finalOf(t, "first").Resource.ID {
				t.Errorf("the result is %+v with %+v", r, r.Error)
			}
			if got := tasksWithTitle(f, "gleich"); got != 2 {
				t.Errorf("factro has %d tasks, want 2", got)
			}
			finals := read(t, js, prefix.ResultStream("acme"), "factro.result.acme.task.createTask.*")
			if len(finals) != 2 {
				t.Errorf("there are %d results, want one of each command", len(finals))
			}
			if got := b.metric(`factro_bridge_unaccounted{flow="commands"}`); got != "0" {
				t.Errorf("unaccounted are %s", got)
			}
		})
	}
}

// factro applies creates, and the connection is cut before it has answered: each makes one task, whose result is reported.
func TestCutCreatesAreAdopted(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_, js := n.Connect(t)
	results := watchStream(t, js, prefix.ResultStream("acme"))
	if err := f.SetFaults(sim.Faults{{Kind: sim.FaultCutAfter, Operation: "createTask"}}); err != nil {
		t.Fatal(err)
	}
	const commands = 10
	title := func(i int) string {
		if i%2 == 0 {
			return "gleich"
		}
		return fmt.Sprintf("Prüfung %d", i)
	}
	for i := range commands {
		send(t, js, "acme", "createTask", fmt.Sprintf("cut-%d", i), newTask(f, title(i)))
	}
	ids := map[string]bool{}
	for i := range commands {
		r := results.finalOf(t, fmt.Sprintf("cut-%d", i))
		if r.Outcome != events.Applied || !r.Adopted || !strings.Contains(string(r.Response), title(i)) {
			t.Fatalf("command %d: %+v with %+v", i, r, r.Error)
		}
		ids[r.Resource.ID] = true
	}
	if len(ids) != commands {
		t.Errorf("the results tell of %d tasks, want %d", len(ids), commands)
	}
	if got := tasksWithTitle(f, "gleich"); got != commands/2 {
		t.Errorf("factro has %d equal tasks, want %d", got, commands/2)
	}
	for i := 1; i < commands; i += 2 {
		if got := tasksWithTitle(f, title(i)); got != 1 {
			t.Errorf("%s: factro has %d tasks", title(i), got)
		}
	}
	if letters := read(t, js, prefix.DeadStream("acme"), "factro.dead.>"); len(letters) != 0 {
		t.Errorf("there are %d dead letters", len(letters))
	}
	waitFor(t, "all is accounted for", func() bool { return b.metric(`factro_bridge_unaccounted{flow="commands"}`) == "0" })
}
