package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/reconcile"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/gap"
)

// quickly has a reconciliation take records at once, and come again each second.
const quickly = "reconcile: {every: 1s, grace: 0s}"

// happenings counts what happened at the simulated factro, by action and entity, and the deliveries of it that were lost.
// byEntity is false if its stored payloads name no entity.
func happenings(f *factro, byEntity bool) (all map[string]int, lost int) {
	all = map[string]int{}
	for _, a := range f.Deliveries() {
		if a.Lost {
			lost++
		}
		if a.Lost || a.Number == 1 {
			all[happening(a.Action, a.EntityID, byEntity)]++
		}
	}
	return all, lost
}

func happening(action, entity string, byEntity bool) string {
	if !byEntity {
		return action
	}
	return action + " of " + entity
}

// eventsOf counts factro's events in the stream in the same way.
func eventsOf(t testing.TB, js jetstream.JetStream, byEntity bool) map[string]int {
	t.Helper()
	all := map[string]int{}
	for _, m := range read(t, js, prefix.EventStream("acme"), "factro.event.acme.>") {
		if strings.HasPrefix(m.event.Type(), gap.TypePrefix) {
			continue
		}
		_, entity, _ := strings.Cut(m.event.Subject(), "/")
		action, _ := m.event.Extensions()[attr.Action].(string)
		all[happening(action, entity, byEntity)]++
	}
	return all
}

// fireMany has 300 things happen at factro, several of them equal, and waits until what is delivered is delivered.
func fireMany(t testing.TB, f *factro) {
	t.Helper()
	for i := range 300 {
		f.Fire([]string{"TaskStateChanged", "TaskCreated", "TaskExecutorChanged"}[i%3], fmt.Sprintf("00000000-0000-4000-8000-%012d", i*i%40))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := f.Idle(ctx); err != nil {
		t.Fatal(err)
	}
}

// reconciled runs the command and returns its report.
func reconciled(t testing.TB, b *bridge, code int, args ...string) reconcile.Report {
	t.Helper()
	out, errOut, got := bridgeCommand(t, append([]string{"reconcile", "--config", b.configFile, "--cloud", "acme", "--json"}, args...)...)
	var r reconcile.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || got != code {
		t.Fatalf("exit code %d, want %d: %v\n%s", got, code, err, errOut)
	}
	if strings.Contains(out+errOut, webhookSecret) {
		t.Error("the report shows a secret")
	}
	return r
}

// Three tenths of the deliveries are lost, and whatever factro's list of them is like, the stream has everything once after
// a reconciliation.
func TestReconcileByCommand(t *testing.T) {
	t.Parallel()
	for i, tt := range []struct {
		name     string
		delivery sim.Delivery
		noEntity bool
	}{
		{name: "as delivered"},
		{name: "null ids", delivery: sim.Delivery{NullIDs: true, StoredOrder: "newest"}},
		{name: "another context", delivery: sim.Delivery{StoredContext: "named", StoredOrder: "shuffled"}},
		{name: "empty context, null ids", delivery: sim.Delivery{StoredContext: "empty", NullIDs: true, StoredOrder: "shuffled"}, noEntity: true},
		{name: "ids in the deliveries", delivery: sim.Delivery{Wide: true, StoredOrder: "shuffled"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.delivery.Loss = 0.3
			n, f := natstest.Start(t), startFactro(t, sim.Config{Seed: uint64(i + 1), Delivery: tt.delivery})
			b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, more: quickly}).start()
			b.register(f, "acme")
			_, js := n.Connect(t)
			fireMany(t, f)
			want, lost := happenings(f, !tt.noEntity)
			t.Logf("%d of 300 deliveries are lost", lost)
			if r := reconciled(t, b, 6, "--since", "1h", "--dry-run"); r.Missing != lost || r.Published != 0 {
				t.Errorf("the rehearsal found %d missing and published %d, %d were lost", r.Missing, r.Published, lost)
			}
			wantRehearsed(t, b, lost)
			if r := reconciled(t, b, 0, "--since", "1h"); r.Missing != lost || r.Published != lost || r.Records != 300 {
				t.Errorf("%d of %d records were missing and %d published, %d were lost", r.Missing, r.Records, r.Published, lost)
			}
			if got := eventsOf(t, js, !tt.noEntity); !maps.Equal(got, want) {
				t.Errorf("the stream has\n%v, factro\n%v", got, want)
			}
			if r := reconciled(t, b, 0, "--since", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)); r.Missing != 0 || r.Published != 0 {
				t.Errorf("the second run found %d missing and published %d", r.Missing, r.Published)
			}
			for _, m := range read(t, js, prefix.EventStream("acme"), "factro.event.acme.>") {
				if strings.Contains(string(m.data), webhookSecret) || strings.Contains(string(m.data), "callbackUri") {
					t.Fatalf("an event shows its webhook: %s", m.data)
				}
			}
		})
	}
}

// wantRehearsed wants a report for people: the oldest rows or all, what was left out, and the summary at the end.
func wantRehearsed(t testing.TB, b *bridge, lost int) {
	t.Helper()
	for _, tt := range []struct {
		args []string
		rows int
		more string
	}{{nil, 20, fmt.Sprintf("… and %d more; --all shows them\n", lost-20)}, {[]string{"--all"}, lost, ""}} {
		args := append([]string{"reconcile", "--config", b.configFile, "--cloud", "acme", "--since", "1h", "--dry-run", "--quiet"}, tt.args...) // no progress, if it takes its time
		out, errOut, code := bridgeCommand(t, args...)
		list, summary, _ := strings.Cut(out, "\n\n")
		if code != 6 || errOut != "" || !strings.HasPrefix(list, "CREATED ") || !strings.Contains(list, tt.more+"by action: ") || strings.Count(list, "Task") < tt.rows ||
			strings.Contains(list, "more;") != (tt.more != "") || !strings.HasPrefix(summary, "acme: ") ||
			!regexp.MustCompile(fmt.Sprintf(`missing +%d\n$`, lost)).MatchString(summary) {
			t.Errorf("%v: exit code %d, %d are lost\n%s%s", tt.args, code, lost, out, errOut)
		}
		if rows := strings.Count(list, "\n20"); rows != tt.rows {
			t.Errorf("%v: %d rows, want %d\n%s", tt.args, rows, tt.rows, out)
		}
	}
}

// A bridge with the role finds the losses by itself, also those whose records show up late, and reports them.
func TestReconcileByItself(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{Seed: 5, Delivery: sim.Delivery{
		Loss: 0.3, StoredAfter: 3 * time.Second, StoredLate: 0.5, StoredOrder: "shuffled", NullIDs: true,
	}})
	two := bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, roles: "ingress"}
	b := newBridge(t, two).start() // of the bridges that reconcile, the timer of one counts: not of this one
	b.register(f, "acme")
	_, js := n.Connect(t)
	fireMany(t, f)
	want, lost := happenings(f, true)

	two.roles, two.more = "reconcile", quickly
	first, second := newBridge(t, two).start(), newBridge(t, two).start()
	waitFor(t, "the stream is factro's log", func() bool { return maps.Equal(eventsOf(t, js, true), want) })
	runs := func() int { return count(f, "listWebhookPayloads") }
	for at := runs(); runs() < at+3; { // nothing comes after it
		waitFor(t, "one run more", func() bool { return runs() > at+2 })
	}
	if got := eventsOf(t, js, true); !maps.Equal(got, want) {
		t.Errorf("later the stream has\n%v, factro\n%v", got, want)
	}
	published := 0
	for _, m := range read(t, js, prefix.EventStream("acme"), prefix.EventFilter("acme", events.ResourceBridge, events.Any, gap.Closed)) {
		gap, err := gap.Of(m.event)
		if err != nil {
			t.Fatal(err)
		}
		published += gap.Published
	}
	if published != lost {
		t.Errorf("the gaps tell of %d events, %d were lost", published, lost)
	}
	if age := first.metric(`factro_bridge_reconcile_checkpoint_age_seconds{factro_cloud="acme"}`) +
		second.metric(`factro_bridge_reconcile_checkpoint_age_seconds{factro_cloud="acme"}`); age == "absentabsent" {
		t.Error("neither bridge tells how old the checkpoint is")
	}
}

// What cannot be done is said.
func TestReconcileMistakes(t *testing.T) {
	t.Parallel()
	n, f := natstest.Start(t), startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, more: quickly})
	f.SetKey("another")
	for _, tt := range []struct {
		args []string
		code int
		say  string
	}{
		{[]string{"--config", "/nowhere.yaml"}, 2, "/nowhere.yaml"},
		{[]string{"--config", b.configFile, "--cloud", "beta"}, 2, "beta"},
		{[]string{"--config", b.configFile, "--since", "yesterday"}, 2, "yesterday"},
		{[]string{"--config", b.configFile, "--since", "2999-01-01T00:00:00Z"}, 2, "future"},
		{[]string{"--config", b.configFile}, 1, "401"},
	} {
		_, errOut, code := bridgeCommand(t, append([]string{"reconcile"}, tt.args...)...)
		if code != tt.code || !strings.Contains(errOut, tt.say) {
			t.Errorf("%v: exit code %d, want %d with %q: %s", tt.args, code, tt.code, tt.say, errOut)
		}
	}
}
