package tests

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/reference/metrics.md")

const metricsPage = "../docs/reference/metrics.md"

// TestMetrics has a bridge of each role meet traffic of every kind, and compares what they export with what the reference
// says, and with what dashboards and rules ask for. Then it delivers webhooks about so many tasks that a label that holds
// an id, a subject or an address would show.
func TestMetrics(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	f.losses() // first: after an outage, what was not delivered is no loss for a while
	f.webhooks()
	f.commands()
	f.queries()
	f.mirror()
	waitFor(t, "the unclaimed command is seen", func() bool {
		return f.bridges["egress"].metric("factro_bridge_commands_unclaimed") == "1"
	})
	all := f.exported()
	page := metricsReference(t, all)
	if *update {
		if err := os.WriteFile(metricsPage, page, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have, err := os.ReadFile(metricsPage); err != nil || string(have) != string(page) {
		t.Errorf("%s is not what the bridge exports (%v); \"make generate\" rewrites it", metricsPage, err)
	}
	askedFor(t, all)
	if t.Failed() {
		return // the rest takes its time, and says nothing of that
	}

	waitFor(t, "the breaker opens", func() bool {
		return f.bridges["egress"].metric(`factro_bridge_breaker_state{factro_cloud="gestoert"}`) == "2"
	})
	waitFor(t, "the cloud is paused", func() bool {
		return f.bridges["egress"].metric(`factro_bridge_cloud_paused{factro_cloud="gesperrt"}`) == "1"
	})
	f.strangers(strangers)
	f.bridges["ingress"].wantAccounted()
	all = f.exported()
	labelsFit(t, all)
	series := 0
	for _, fam := range all {
		series += fam.series
	}
	const most = 2000 // for one process
	t.Logf("%d tasks, %d series of %d bridges", strangers, series, len(fleetRoles))
	for _, role := range fleetRoles {
		_, text := f.bridges[role].get("/metrics")
		if n := strings.Count("\n"+text, "\n") - strings.Count("\n"+text, "\n#") - 1; n >= most {
			t.Errorf("the bridge of the role %s has %d series", role, n)
		}
	}
	if all := most * len(fleetRoles) / 4; series >= all { // each reports the totals of all
		t.Errorf("there are %d series, want fewer than %d", series, all)
	}
}

// ownNames are the names of the metrics that are ours.
func ownNames(all map[string]*family) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(name string) bool { return !all[name].isOwn() })
}
