package tests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// senders deliver webhooks over a number of connections, each body with its own id, and remember what was promised.
type senders struct {
	b        *bridge
	retry    bool     // deliver again what got no answer, as a sender may do while the receiver is restarted
	accepted sync.Map // id -> true, for each that was answered 202
	sent     atomic.Int64
	statuses [600]atomic.Int64
}

// deliver sends total webhooks over the connections and calls at after each hundredth.
func (s *senders) deliver(connections, total int, at func(done int)) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	var group sync.WaitGroup
	for range connections {
		group.Go(func() {
			for {
				i := int(s.sent.Add(1))
				if i > total {
					return
				}
				id := fmt.Sprintf("delivery-%d", i)
				body := fmt.Sprintf(`{"id":%q,"action":"TaskStateChanged","context":{"entityId":"task-%d","note":%q}}`, id, i%50, payloadMarker)
				status := s.b.webhook(client, "acme", body)
				for deadline := time.Now().Add(patience); s.retry && status == 0 && time.Now().Before(deadline); {
					<-time.After(20 * time.Millisecond) // the sender's own pace
					status = s.b.webhook(client, "acme", body)
				}
				s.statuses[status].Add(1)
				if status == http.StatusAccepted {
					s.accepted.Store(id, true)
				}
				if i%100 == 0 {
					at(i)
				}
			}
		})
	}
	group.Wait()
}

// check compares what was promised with what is in the stream.
func (s *senders) check(t *testing.T, stored []message) {
	t.Helper()
	times := map[string]int{}
	for _, m := range stored {
		times[m.event.ID()]++
	}
	promised, lost, twice := 0, 0, 0
	s.accepted.Range(func(id, _ any) bool {
		promised++
		if times[id.(string)] == 0 {
			lost++
		}
		return true
	})
	for _, n := range times {
		if n > 1 {
			twice++
		}
	}
	var answers []string
	for status := range s.statuses {
		if n := s.statuses[status].Load(); n > 0 {
			answers = append(answers, fmt.Sprintf("%d: %d", status, n))
		}
	}
	t.Logf("answers %v; promised %d, stored %d, lost %d, twice %d", answers, promised, len(stored), lost, twice)
	if lost > 0 || twice > 0 {
		t.Errorf("%d accepted webhooks are lost, %d are there twice", lost, twice)
	}
	if promised == 0 {
		t.Error("nothing was accepted: the test shows nothing")
	}
}

// once runs an interruption when its share of the load is done, beside the load.
func once(at int, do func()) func(done int) {
	var first sync.Once
	return func(done int) {
		if done >= at {
			first.Do(do)
		}
	}
}

// 10,000 webhooks over 64 connections, while NATS is restarted twice.
func TestWebhooksWhileNATSRestarts(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	s := &senders{b: b}
	first, second := once(3000, n.Restart), once(6500, n.Restart)
	s.deliver(64, 10_000, func(done int) { first(done); second(done) })
	waitFor(t, "the bridge is ready again", b.ready)
	_, js := n.Connect(t)
	s.check(t, read(t, js, prefix.EventStream("acme"), "factro.event.>"))
}

// The bridge is stopped gracefully and started again, twice, and killed once, under a load of webhooks.
func TestWebhooksWhileTheBridgeRestarts(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	s := &senders{b: b, retry: true}
	again := func(stop func()) func() { return func() { stop(); b.launch() } }
	polite := func() {
		if err := b.terminate(); err != nil {
			t.Errorf("exit after SIGTERM: %v", err)
		}
	}
	interruptions := []func(int){once(1000, again(polite)), once(2000, again(b.kill)), once(3000, again(polite))}
	s.deliver(16, 4000, func(done int) {
		for _, i := range interruptions {
			i(done)
		}
	})
	_, js := n.Connect(t)
	s.check(t, read(t, js, prefix.EventStream("acme"), "factro.event.>"))
}

// SIGTERM under load: what was begun is finished, nothing is left half done, and the exit code is 0.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{Faults: sim.Faults{{Kind: sim.FaultLatency, Delay: 20 * time.Millisecond}}})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_, js := n.Connect(t)
	results := watchStream(t, js, prefix.ResultStream("acme"))
	const commands = 100
	for i := range commands {
		send(t, js, "acme", "createTask", fmt.Sprintf("c%d", i), newTask(f, fmt.Sprintf("c%d", i)))
	}
	s := &senders{b: b}
	var stopped time.Duration
	stop := once(500, func() {
		began := time.Now()
		if err := b.terminate(); err != nil {
			t.Errorf("exit after SIGTERM: %v\n%s", err, b.log)
		}
		stopped = time.Since(began)
	})
	s.deliver(16, 1500, stop)
	s.check(t, read(t, js, prefix.EventStream("acme"), "factro.event.>"))
	t.Logf("stopped within %s, %d commands left", stopped, queued(t, js))
	if stopped > 20*time.Second {
		t.Errorf("the stop took %s, longer than shutdown_timeout", stopped)
	}
	// What factro has carried out has its result, and what has none is still in the stream.
	finals := finals(results.all())
	if made := f.Count("task", nil); made != len(finals) || uint64(commands-made) != queued(t, js) {
		t.Errorf("%d tasks, %d results, %d commands left of %d", made, len(finals), queued(t, js), commands)
	}
	b.start()
	for i := range commands {
		id := fmt.Sprintf("c%d", i)
		if r := results.finalOf(t, id); r.Outcome != events.Applied || tasksWithTitle(f, id) != 1 {
			t.Errorf("%s is %s with %d tasks: %+v", id, r.Outcome, tasksWithTitle(f, id), r.Error)
		}
	}
}

// finals returns the ids of the commands that have a final result.
func finals(results []message) []string {
	var ids []string
	for _, m := range results {
		if !strings.HasSuffix(m.subject, ".deferred") {
			ids = append(ids, m.event.Extensions()[attr.CausationID].(string))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Commands under load while the bridge is killed and NATS is restarted: each has exactly one final result, no create is
// made twice, and only commands in flight at a kill may be ambiguous.
func TestCommandsWhileEverythingRestarts(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{Faults: sim.Faults{{Kind: sim.FaultLatency, Delay: 5 * time.Millisecond}}})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_, js := n.Connect(t)
	const commands, kills = 300, 2
	for i := range commands {
		send(t, js, "acme", "createTask", fmt.Sprintf("c%d", i), newTask(f, fmt.Sprintf("c%d", i)))
	}
	made := func(n int) func() bool { return func() bool { return f.Count("task", nil) >= n } }
	waitFor(t, "some tasks", made(50))
	b.kill()
	b.start()
	waitFor(t, "more tasks", made(100))
	n.Restart()
	waitFor(t, "more tasks after NATS is back", made(150))
	if err := b.terminate(); err != nil {
		t.Errorf("exit after SIGTERM: %v", err)
	}
	b.start()
	waitFor(t, "more tasks after a polite restart", made(200))
	b.kill()
	b.start()
	waitFor(t, "all commands are settled", func() bool { return queued(t, js) == 0 })

	results := read(t, js, prefix.ResultStream("acme"), "factro.result.>")
	if got := finals(results); len(got) != commands {
		t.Errorf("%d commands have a final result, want %d", len(got), commands)
	}
	applied, ambiguous, lost, doubled := 0, 0, 0, 0
	for _, m := range results {
		r, id := m.result(t), m.event.Extensions()[attr.CausationID].(string)
		tasks := tasksWithTitle(f, id)
		switch {
		case tasks > 1:
			doubled++
		case r.Outcome == events.Applied && tasks == 1:
			applied++
		case r.Outcome == events.Applied:
			lost++
		case r.Outcome == events.Dead && r.Error.Code == events.CodeAmbiguous:
			ambiguous++
		case r.Outcome == events.Deferred: // its final result is counted above
		default:
			t.Errorf("%s: %+v with %+v", id, r, r.Error)
		}
	}
	t.Logf("%d commands: %d applied, %d ambiguous, %d without a task, %d doubled", commands, applied, ambiguous, lost, doubled)
	if lost > 0 || doubled > 0 || ambiguous > kills || applied+ambiguous != commands {
		t.Errorf("want each of %d commands applied once, and at most %d ambiguous", commands, kills)
	}
}
