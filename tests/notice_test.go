package tests

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/notice"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// TestKeyNotices: a bridge reports once that factro refuses its key, with the time of the next attempt, and once that it accepts it
// again.
func TestKeyNotices(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_, js := n.Connect(t)
	f.SetKey(laterKey)
	if _, err := events.NewClient(js, "acme").Send(t.Context(), payload.DeleteTask{TaskID: noTask}); err != nil {
		t.Fatal(err)
	}
	reported := func() (all []string) {
		for _, m := range read(t, js, "FACTRO_BRIDGE_ACME", ">") {
			what, data, err := notice.Of(m.event)
			if err != nil || data.Since == nil || data.Bridge == "" || (what == notice.KeyRefused) != (data.NextAttempt != nil && data.Cause != "") {
				t.Errorf("%s: %+v, %v", m.subject, data, err)
			}
			all = append(all, what)
		}
		return all
	}
	waitFor(t, "the refusal is reported", func() bool { return slices.Equal(reported(), []string{notice.KeyRefused}) })
	writeFile(t, b.keyFile, laterKey)
	waitFor(t, "the end is reported", func() bool { return slices.Equal(reported(), []string{notice.KeyRefused, notice.KeyAccepted}) })
}

// notices are what the bridges reported about something, in its order.
func notices(t testing.TB, js jetstream.JetStream, about ...string) (whats []string, all []notice.Notice) {
	t.Helper()
	for _, m := range read(t, js, "FACTRO_BRIDGE_ACME", ">") {
		what, n, err := notice.Of(m.event)
		if err != nil || n.Cloud != "acme" || n.Bridge == "" || m.subject != prefix.Notice("acme", what) {
			t.Fatalf("%s: %+v, %v", m.subject, n, err)
		}
		if slices.Contains(about, what) {
			whats, all = append(whats, what), append(all, n)
		}
	}
	return whats, all
}

// TestBreakerNotices: a bridge reports once that factro fails, with the cause and the time of the next attempt, and once that it is
// well again, with the same beginning.
func TestBreakerNotices(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{Faults: sim.Faults{{Kind: sim.FaultError, Status: 503}}})
	newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_, js := n.Connect(t)
	sent, err := events.NewClient(js, "acme").Send(t.Context(), payload.DeleteTask{TaskID: noTask})
	if err != nil {
		t.Fatal(err)
	}
	results := watchStream(t, js, "FACTRO_RESULTS_ACME")
	reported := func(want ...string) (all []notice.Notice) {
		waitFor(t, fmt.Sprintf("%v is reported", want), func() bool {
			var whats []string
			whats, all = notices(t, js, notice.Opened, notice.Closed)
			return slices.Equal(whats, want)
		})
		return all
	}
	opened := reported(notice.Opened)[0]
	if opened.Since == nil || !strings.Contains(opened.Cause, "503") || opened.NextAttempt == nil || !opened.NextAttempt.After(*opened.Since) {
		t.Errorf("it reports %+v", opened)
	}
	if err := f.SetFaults(nil); err != nil {
		t.Fatal(err)
	}
	results.finalOf(t, sent.ID)
	closed := reported(notice.Opened, notice.Closed)[1]
	if closed.Since == nil || !closed.Since.Equal(*opened.Since) || closed.Cause != "" || closed.NextAttempt != nil || closed.Bridge != opened.Bridge {
		t.Errorf("it reports %+v after %+v", closed, opened)
	}
}

// TestTakeoverNotices: the bridge that takes over the work of another one reports from which, and whether that one fell silent. The
// first bridge takes over nothing.
func TestTakeoverNotices(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	at := func() *bridge {
		return newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}})
	}
	works := func(b *bridge) func() bool {
		return func() bool {
			return b.metric(`factro_bridge_active{factro_cloud="acme",factro_work="commands"}`) == "1"
		}
	}
	_, js := n.Connect(t)
	first, second := at().start(), at()
	waitFor(t, "the first works on the commands", works(first))
	if whats, _ := notices(t, js, notice.Takeover); len(whats) > 0 {
		t.Errorf("the first bridge reports %v", whats)
	}
	second.start()
	reported := func(want int) (last notice.Notice) {
		waitFor(t, fmt.Sprintf("%d takeovers of commands are reported", want), func() bool {
			_, all := notices(t, js, notice.Takeover)
			all = slices.DeleteFunc(all, func(n notice.Notice) bool { return n.Work != "commands" })
			if len(all) > 0 {
				last = all[len(all)-1]
			}
			return len(all) == want
		})
		return last
	}
	first.kill()
	crash := reported(1)
	if crash.From == "" || crash.To == "" || crash.From == crash.To || !crash.Silent {
		t.Errorf("after a crash it reports %+v", crash)
	}
	first.start()
	waitFor(t, "it stands by", func() bool {
		return first.metric(`factro_bridge_active{factro_cloud="acme",factro_work="commands"}`) == "0" && works(second)()
	})
	if err := second.terminate(); err != nil {
		t.Error(err)
	}
	if polite := reported(2); polite.From != crash.To || polite.To == crash.From || polite.Silent {
		t.Errorf("after an orderly end it reports %+v", polite)
	}
}
