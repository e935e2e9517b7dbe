package tests

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// purged is what bridge purge prints.
type purged struct {
	Purged, Begun, Finished, CallNothing int
	Commands                             []struct{ ID, Source, Operation string }
}

func purge(t testing.TB, n *natstest.Server, more ...string) purged {
	t.Helper()
	args := append([]string{"purge", "commands", "--nats", n.URL(), "--cloud", "acme", "--json", "--quiet"}, more...)
	out, text, code := bridgeCommand(t, args...)
	var p purged
	if err := json.Unmarshal([]byte(out), &p); err != nil || code != 0 {
		t.Fatalf("purge: exit code %d, %v: %s%s", code, err, out, text)
	}
	return p
}

// outcomes counts the final results of commands by their outcome, and wants one of each command.
func outcomes(t testing.TB, results []message) map[string]int {
	t.Helper()
	count, seen := map[string]int{}, map[string]bool{}
	for _, m := range results {
		outcome := m.subject[strings.LastIndexByte(m.subject, '.')+1:]
		if outcome == "deferred" {
			continue
		}
		id := m.event.Extensions()["causationid"].(string)
		if seen[id] {
			t.Errorf("%s has several results", id)
		}
		seen[id] = true
		count[outcome]++
	}
	return count
}

// TestPurge: the commands that match become dead letters that can be sent again, their senders get results, and the others are
// carried out.
func TestPurge(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_, js := n.Connect(t)
	for _, wrong := range [][]string{{"--older-than", "-1h"}, {"--source", ""}, {"--operation", ""}} { // each would mean all
		args := append([]string{"purge", "commands", "--nats", n.URL(), "--cloud", "acme", "--reason", "test"}, wrong...)
		if out, text, code := bridgeCommand(t, args...); code != 2 || !strings.Contains(text, wrong[0]) {
			t.Errorf("%q: exit code %d: %s%s", wrong, code, out, text)
		}
	}
	steer(t, n, "pause", "commands")
	b.obeys("commands", true)
	const shop, billing = 60, 25
	send := func(source string, count int) {
		client := events.NewClient(js, "acme", events.WithDefaults(events.WithSource(source)))
		for range count {
			if _, err := client.Send(t.Context(), payload.DeleteTask{TaskID: noTask}); err != nil {
				t.Fatal(err)
			}
		}
	}
	send("//shop/eu", shop)
	send("//billing", billing)
	if p := purge(t, n, "--source", "//shop/*", "--dry-run"); p.Purged != 0 || len(p.Commands) != shop {
		t.Errorf("the dry run has %d purged, %d listed", p.Purged, len(p.Commands))
	}
	for _, none := range [][]string{{"--operation", "create*"}, {"--older-than", "1h"}} {
		if p := purge(t, n, append(none, "--reason", "none")...); p.Purged != 0 {
			t.Errorf("%v purges %d", none, p.Purged)
		}
	}
	if p := purge(t, n, "--source", "//shop/*", "--operation", "delete*", "--reason", "wrong import", "--who", "anna@ops"); p.Purged != shop || len(p.Commands) != shop || p.Begun != 0 {
		t.Errorf("purged: %d, %d listed, %d begun", p.Purged, len(p.Commands), p.Begun)
	}
	if p := purge(t, n, "--source", "//shop/*", "--reason", "again"); p.Purged != 0 {
		t.Errorf("%d are purged twice", p.Purged)
	}
	dead := read(t, js, "FACTRO_DEAD_ACME", ">")
	if len(dead) != shop {
		t.Errorf("there are %d dead letters", len(dead))
	}
	for _, m := range dead {
		if m.header.Get("Factro-Dead-Code") != events.CodePurged || !strings.Contains(m.header.Get("Factro-Dead-Reason"), "anna@ops") || m.event.Source() != "//shop/eu" {
			t.Errorf("a dead letter has the headers %v", m.header)
		}
	}
	steer(t, n, "resume", "commands")
	waitFor(t, "the others are carried out", func() bool {
		return outcomes(t, read(t, js, "FACTRO_RESULTS_ACME", ">"))["applied"] == billing
	})
	results := read(t, js, "FACTRO_RESULTS_ACME", ">")
	if got := outcomes(t, results); got["rejected"] != shop || got["applied"] != billing {
		t.Errorf("the outcomes are %v", got)
	}
	for _, m := range results {
		if strings.HasSuffix(m.subject, ".rejected") {
			if r := m.result(t); r.Error.Code != events.CodePurged || !strings.Contains(r.Error.Message, "anna@ops has taken it out of the queue: wrong import") {
				t.Errorf("the error is %+v", r.Error)
			}
		}
	}
	out, text, code := bridgeCommand(t, "dead", "redrive", "--nats", n.URL(), "acme/1", "--wait")
	if code != 0 || !strings.Contains(out, "applied") {
		t.Errorf("redrive: exit code %d: %s%s", code, out, text)
	}
}

// TestPurgeWhileABridgeWorks: each command is carried out or purged, and none both, though a bridge works on them and a call is in
// flight.
func TestPurgeWhileABridgeWorks(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_, js := n.Connect(t)
	if err := f.SetFaults(sim.Faults{{Kind: sim.FaultLatency, Delay: 10 * time.Millisecond, Operation: "deleteTask"}}); err != nil {
		t.Fatal(err)
	}
	client := events.NewClient(js, "acme", events.WithDefaults(events.WithSource("//shop")))
	const all = 300
	for range all {
		if _, err := client.Send(t.Context(), payload.DeleteTask{TaskID: noTask}); err != nil {
			t.Fatal(err)
		}
	}
	p := purge(t, n, "--reason", "while it works")
	waitFor(t, "each has a result", func() bool {
		got := outcomes(t, read(t, js, "FACTRO_RESULTS_ACME", ">"))
		return got["applied"]+got["rejected"] == all
	})
	got := outcomes(t, read(t, js, "FACTRO_RESULTS_ACME", ">"))
	t.Logf("%v, purged %d, begun %d", got, p.Purged, p.Begun)
	if got["rejected"] == 0 || got["rejected"] != p.Purged || len(read(t, js, "FACTRO_DEAD_ACME", ">")) != p.Purged {
		t.Errorf("%d are purged, the outcomes are %v", p.Purged, got)
	}
	if calls := count(f, "deleteTask"); calls != got["applied"] {
		t.Errorf("%d calls for %d applied commands", calls, got["applied"])
	}
	waitFor(t, "the queue is empty", func() bool {
		s, err := js.Stream(t.Context(), "FACTRO_COMMANDS_ACME")
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
}
