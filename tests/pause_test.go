package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
	"github.com/factro-bridge/factro-bridge/pkg/events/notice"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// steer runs pause or resume, which must work.
func steer(t testing.TB, n *natstest.Server, command, direction string) {
	t.Helper()
	args := []string{command, "--nats", n.URL(), "--cloud", "acme", "--direction", direction}
	if command == "pause" {
		args = append(args, "--reason", "tests of the pause", "--who", "anna@ops")
	}
	_, js := n.Connect(t)
	waitFor(t, "the bucket of pauses is there, which a bridge makes after what it needs to be ready", func() bool {
		_, err := js.KeyValue(t.Context(), "FACTRO_CONTROL")
		return err == nil
	})
	if out, text, code := bridgeCommand(t, args...); code != 0 {
		t.Fatalf("%s %s: exit code %d: %s%s", command, direction, code, out, text)
	}
}

// obeys waits until a bridge shows a pause of a direction, or that there is none, and returns how long that took.
func (b *bridge) obeys(direction string, paused bool) time.Duration {
	b.t.Helper()
	began := time.Now()
	want := map[bool]string{true: "1", false: "0"}[paused]
	series := fmt.Sprintf("factro_bridge_paused{direction=%q,factro_cloud=%q}", direction, "acme")
	waitFor(b.t, series+" is "+want, func() bool { return b.metric(series) == want })
	return time.Since(began)
}

// TestPausedCommands: two bridges obey a pause within a second, over a restart of one of them and over an outage of NATS. A call in
// flight is finished, nothing else is called, the sender and everybody who asks learn why, and then it goes on.
func TestPausedCommands(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	both := []*bridge{}
	for range 2 {
		both = append(both, newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start())
	}
	_, js := n.Connect(t)
	client := events.NewClient(js, "acme")
	if err := f.SetFaults(sim.Faults{{Kind: sim.FaultLatency, Delay: 2 * time.Second, Operation: "deleteTask"}}); err != nil {
		t.Fatal(err)
	}
	inFlight, err := client.Send(t.Context(), payload.DeleteTask{TaskID: noTask})
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "it is being called", func() bool {
		s, err := client.Status(t.Context(), inFlight.Position)
		return err == nil && s.InFlight != nil && s.InFlight.State == status.Calling
	})
	steer(t, n, "pause", "commands")
	for i, b := range both {
		if took := b.obeys("commands", true); took > time.Second {
			t.Errorf("bridge %d obeys after %s", i, took)
		}
		b.parts("commands paused since", "by anna@ops (tests of the pause)")
	}
	results := watchStream(t, js, "FACTRO_RESULTS_ACME")
	final := func(id, outcome string) func(message) bool {
		return func(m message) bool {
			return m.event.Extensions()["causationid"] == id && strings.HasSuffix(m.subject, "."+outcome)
		}
	}
	results.find(t, "the call in flight is finished", final(inFlight.ID, "applied"))
	if err := f.SetFaults(nil); err != nil {
		t.Fatal(err)
	}

	held, err := client.Send(t.Context(), payload.DeleteTask{TaskID: noTask})
	if err != nil {
		t.Fatal(err)
	}
	waiting := inBackground(t, "send", "deleteTask", "taskId="+noTask, "--wait", "--timeout", "60s", "--nats", n.URL(), "--cloud", "acme")
	waiting.says("by anna@ops (tests of the pause)")
	s, err := client.Status(t.Context(), held.Position)
	if err != nil || s.Paused == nil || s.Paused.Reason != status.ReasonOperator || s.Paused.By != "anna@ops" || s.Paused.Why != "tests of the pause" || s.Paused.Since == nil {
		t.Errorf("the status is %+v, %v", s, err)
	}

	both[0].kill()
	both[0].start()
	both[0].obeys("commands", true)
	n.Stop()
	n.Restart()
	for _, b := range both {
		b.obeys("commands", true)
		waitFor(t, "it is connected", b.ready)
	}
	for _, m := range results.all() {
		if final(held.ID, "applied")(m) || final(held.ID, "rejected")(m) {
			t.Errorf("it was carried out while commands were paused: %s", m.subject)
		}
	}

	steer(t, n, "resume", "commands")
	for i, b := range both {
		if took := b.obeys("commands", false); took > time.Second {
			t.Errorf("bridge %d goes on after %s", i, took)
		}
	}
	results.find(t, "the command is carried out", final(held.ID, "applied"))
	if code := waiting.end(); code != 0 {
		t.Errorf("exit code %d: %s%s", code, waiting.out, waiting.err)
	}
	wantNotices(t, js, "paused commands anna@ops", "resumed commands")
}

// wantNotices wants what the bridges reported about pauses: each once, whoever saw it.
func wantNotices(t testing.TB, js jetstream.JetStream, want ...string) {
	t.Helper()
	var got []string
	waitFor(t, fmt.Sprintf("the bridges report %q", want), func() bool {
		got = got[:0]
		for _, m := range read(t, js, "FACTRO_BRIDGE_ACME", "factro.bridge.acme.>") {
			what, n, err := notice.Of(m.event)
			if err != nil || n.Bridge == "" || n.Cloud != "acme" || m.subject != prefix.Notice("acme", what) {
				t.Fatalf("%s: %+v, %v", m.subject, n, err)
			}
			if what == notice.Paused || what == notice.Resumed {
				got = append(got, what+" "+n.Direction+" "+n.Who)
			}
		}
		return len(got) >= len(want)
	})
	for i, text := range want {
		if len(got) != len(want) || !strings.HasPrefix(got[i], text) {
			t.Fatalf("the bridges report %q, want %q", got, want)
		}
	}
}

// TestDeferredByPause: the sender of a command that arrives while the queue is empty and paused gets a deferred result that says
// why, without a time.
func TestDeferredByPause(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_, js := n.Connect(t)
	results := watchStream(t, js, "FACTRO_RESULTS_ACME")
	client := events.NewClient(js, "acme")
	if _, err := client.Do(t.Context(), payload.DeleteTask{TaskID: noTask}); err != nil { // now it waits for the next one
		t.Fatal(err)
	}
	steer(t, n, "pause", "commands")
	b.obeys("commands", true)
	sent, err := client.Send(t.Context(), payload.DeleteTask{TaskID: noTask})
	if err != nil {
		t.Fatal(err)
	}
	m := results.find(t, "it is deferred", func(m message) bool { return strings.HasSuffix(m.subject, ".deferred") })
	if r := m.result(t); r.Error == nil || r.Error.Code != events.CodePaused || r.RetryAt != nil || !strings.Contains(r.Error.Message, "by anna@ops (tests of the pause)") {
		t.Errorf("the result is %+v, %+v", r, r.Error)
	}
	steer(t, n, "resume", "commands")
	results.find(t, "it is carried out", func(m message) bool {
		return strings.HasSuffix(m.subject, ".applied") && m.event.Extensions()["causationid"] == sent.ID
	})
}

// TestCancelPaused: a command with a notbefore that came during a pause, and is still in the queue, can be cancelled.
func TestCancelPaused(t *testing.T) {
	t.Parallel()
	d := newDelaying(t)
	results := watchStream(t, d.js, "FACTRO_RESULTS_ACME")
	steer(t, d.n, "pause", "commands")
	d.b.obeys("commands", true)
	sent := func(id string, more ...events.DoOption) {
		t.Helper()
		if _, err := d.client.Send(t.Context(), d.task(id), append(more, events.WithID(id))...); err != nil {
			t.Fatal(err)
		}
	}
	sent("first")
	sent("later", events.WithNotBefore(time.Now().Add(time.Hour)))
	for id, want := range map[string]notbefore.CancelState{"later": notbefore.Cancelled, "first": notbefore.NotFound, "none": notbefore.NotFound} {
		if state, err := d.client.Cancel(t.Context(), "", id); err != nil || state != want {
			t.Errorf("%s is %s, %v, want %s", id, state, err, want)
		}
	}
	steer(t, d.n, "resume", "commands")
	for id, outcome := range map[string]string{"first": "applied", "later": "rejected"} {
		m := results.find(t, id+" is "+outcome, func(m message) bool {
			return m.event.Extensions()["causationid"] == id && strings.HasSuffix(m.subject, "."+outcome)
		})
		if r := m.result(t); outcome == "rejected" && r.Error.Code != notbefore.CodeCancelled {
			t.Errorf("the result is %+v", r.Error)
		}
	}
	if n := d.waiting(); n != 0 {
		t.Errorf("%d commands are still delayed", n)
	}
	if n := tasksWithTitle(d.f, "later"); n != 0 {
		t.Errorf("factro has %d tasks", n)
	}
}

// TestPausedQueries: queries are answered at once while they are paused, and not at factro; commands go on.
func TestPausedQueries(t *testing.T) {
	t.Parallel()
	a := newAsking(t)
	steer(t, a.n, "pause", "queries")
	a.b.obeys("queries", true)
	e := a.wantError(a.ask("user", "getUserQuota", "{}"), "503", events.CodePaused)
	if !strings.Contains(e.Message, "by anna@ops (tests of the pause)") {
		t.Errorf("the message is %q", e.Message)
	}
	if _, err := a.client.Do(t.Context(), payload.DeleteTask{TaskID: noTask}); err != nil {
		t.Error(err)
	}
	steer(t, a.n, "resume", "queries")
	a.b.obeys("queries", false)
	if m := a.ask("user", "getUserQuota", "{}"); m.Header.Get("Factro-Error") != "" || len(m.Data) == 0 {
		t.Errorf("the answer is %v %s", m.Header, m.Data)
	}
	out, _, code := bridgeCommand(t, "pauses", "--nats", a.n.URL(), "--json")
	if code != 0 || strings.TrimSpace(out) != "[]" {
		t.Errorf("pauses: %d, %s", code, out)
	}
	steer(t, a.n, "pause", "mirror")
	if out, errOut, code := bridgeCommand(t, "pauses", "--config", a.b.configFile, "--cloud", "acne"); code != 2 || !strings.Contains(errOut, "acne") {
		t.Errorf("pauses of a misspelt cloud: %d, %s%s", code, out, errOut)
	}
	out, _, code = bridgeCommand(t, "pauses", "--nats", a.n.URL(), "--json")
	var list []struct{ Cloud, Direction, Who, Why string }
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 || len(list) != 1 || list[0].Direction != "mirror" || list[0].Who != "anna@ops" {
		t.Errorf("pauses: %d, %s", code, out)
	}
}

// TestPausedWebhooks: under load, webhooks are accepted while they are paused and none is published, over a restart too. Once they
// are resumed the stream has each once and in order.
func TestPausedWebhooks(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, env: []string{
		"FACTRO_BRIDGE_SPOOL_DIR=" + filepath.Join(t.TempDir(), "spool"), "FACTRO_BRIDGE_SPOOL_DRAIN_PER_SECOND=500",
	}}).start()
	_, js := n.Connect(t)
	count := func() uint64 {
		s, err := js.Stream(t.Context(), "FACTRO_EVENTS_ACME")
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().State.Msgs
	}
	const senders, each = 4, 60
	var paused sync.Once
	b.deliverInOrder(senders, 0, each, func(done int) {
		if done == each/3 {
			paused.Do(func() { steer(t, n, "pause", "webhooks-out"); b.obeys("webhooks-out", true) })
		}
	})
	there := count()
	if there == senders*each {
		t.Error("all are published, although they are paused")
	}
	b.kill()
	b.start()
	b.obeys("webhooks-out", true)
	b.deliverInOrder(senders, each, each, func(int) {})
	if now := count(); now != there {
		t.Errorf("%d events were published while they were paused", now-there)
	}
	b.parts("webhooks-out paused since", "events wait")
	steer(t, n, "resume", "webhooks-out")
	b.deliverInOrder(senders, 2*each, each, func(int) {})
	waitFor(t, "all are published", func() bool { return count() >= 3*senders*each })
	wantInOrder(t, read(t, js, "FACTRO_EVENTS_ACME", ">"), senders, 3*each)
	b.wantAccounted()
}

// TestPausedWebhooksWithoutSpool: a bridge without a spool goes on publishing, and says so.
func TestPausedWebhooksWithoutSpool(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	steer(t, n, "pause", "webhooks-out")
	b.obeys("webhooks-out", true)
	b.parts("without spool.dir webhooks have nowhere to wait, so they are published all the same")
	if status := b.webhook(http.DefaultClient, "acme", `{"id":"1","action":"TaskStateChanged","context":{"entityId":"t"}}`); status != http.StatusAccepted {
		t.Errorf("it is answered with %d", status)
	}
	_, js := n.Connect(t)
	waitFor(t, "it is published", func() bool { return len(read(t, js, "FACTRO_EVENTS_ACME", ">")) == 1 })
}
