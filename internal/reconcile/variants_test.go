package reconcile

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/gap"
)

// variants are all that a factro may be. Where the record names no entity, the event cannot name one either.
var variants = map[string]struct {
	variant
	noEntity bool
}{
	"as delivered":               {variant: variant{delay: 5 * time.Second}},
	"ids in the deliveries":      {variant: variant{wide: "own", delay: 20 * time.Minute}},
	"other ids in them":          {variant: variant{wide: "other", delay: 5 * time.Second}},
	"null ids":                   {variant: variant{nullIDs: true, delay: 5 * time.Second}},
	"null ids, times delivered":  {variant: variant{nullIDs: true, wide: "other", delay: 10 * time.Minute}},
	"named by another key":       {variant: variant{context: "named", delay: 5 * time.Second}, noEntity: true},
	"named deep inside":          {variant: variant{context: "nested", delay: 5 * time.Second}, noEntity: true},
	"empty context":              {variant: variant{context: "empty", delay: 5 * time.Second}, noEntity: true},
	"context of something else":  {variant: variant{context: "other", delay: 5 * time.Second}, noEntity: true},
	"empty context and null ids": {variant: variant{context: "empty", nullIDs: true, delay: 5 * time.Second}, noEntity: true},
	"shuffled":                   {variant: variant{shuffled: true, nullIDs: true, delay: 5 * time.Second}},
	"late records":               {variant: variant{late: true, delay: 5 * time.Second}},
	"late records, null ids":     {variant: variant{late: true, nullIDs: true, shuffled: true, delay: 5 * time.Second}},
	"slow deliveries":            {variant: variant{delay: 10 * time.Minute, shuffled: true}},
	"factro's clock ahead":       {variant: variant{skew: 4 * time.Minute, delay: time.Second}},
	"factro's clock behind":      {variant: variant{skew: -4 * time.Minute, delay: time.Second}},
	"others' webhooks":           {variant: variant{foreign: true, delay: 5 * time.Second}},
	"others' webhooks, null ids": {variant: variant{foreign: true, nullIDs: true, delay: 5 * time.Second}},
}

// TestStreamBecomesFactrosLog: whatever factro is like, a third of the deliveries may be lost and the stream has everything
// once after the reconciliation, and a second one finds nothing.
func TestStreamBecomesFactrosLog(t *testing.T) {
	t.Parallel()
	var names []string
	for n := range 2 * len(variants) {
		names = append(names, fmt.Sprintf("c%d", n+1))
	}
	b := startBroker(t, names...)
	number := 0
	for name, v := range variants {
		for seed := range uint64(2) {
			number++
			c := &cloud{name: fmt.Sprintf("c%d", number), v: v.variant, source: rand.New(rand.NewPCG(seed, 7))}
			t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
				t.Parallel()
				c.happen(t, b, 80, time.Now().Add(-6*time.Minute), 45*time.Minute, 0.3)
				r := c.reconciler(t, b)
				report := once(t, r, Request{})
				if v.late {
					c.surface()
					second := once(t, r, Request{})
					report.Missing += second.Missing
					report.Published += second.Published
				}
				if report.Missing != c.lost() || report.Published != c.lost() {
					t.Errorf("%d deliveries were lost, the report says %s", c.lost(), brief(report))
				}
				c.wantLog(t, b, !v.noEntity)
				for range 2 {
					if again := once(t, r, Request{}); again.Missing != 0 || again.Published != 0 || again.Young != 0 {
						t.Errorf("one run more found %s", brief(again))
					}
				}
				c.wantLog(t, b, !v.noEntity)
			})
		}
	}
}

// TestEqualEvents: two equal events seconds apart stay two; of one that was lost exactly one is published.
func TestEqualEvents(t *testing.T) {
	t.Parallel()
	b := startBroker(t, "equal0", "equal1", "equal2", "equal3")
	for i, lost := range []struct{ first, second bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		c := &cloud{name: fmt.Sprintf("equal%d", i)}
		at := time.Now().Add(-10 * time.Minute).Truncate(time.Millisecond)
		for j, gone := range []bool{lost.first, lost.second} {
			h := happening{
				id: fmt.Sprintf("r-%d", j), action: "TaskStateChanged", entity: "t-1", at: at.Add(time.Duration(j) * 2 * time.Second), lost: gone,
			}
			c.log = append(c.log, h)
			if !gone {
				c.deliver(t, b, h, h.at.Add(300*time.Millisecond))
			}
		}
		r := c.reconciler(t, b)
		report := once(t, r, Request{})
		if report.Published != c.lost() {
			t.Errorf("%+v: %d were published", lost, report.Published)
		}
		for j, g := range report.Gaps { // here the times tell which one it was
			want := "r-1"
			if lost.first && j == 0 {
				want = "r-0"
			}
			if g.ID != want {
				t.Errorf("%+v: %s was published, want %s", lost, g.ID, want)
			}
		}
		c.wantLog(t, b, true)
	}
}

// TestLateWebhook: a webhook that comes after its event was published from the record is a second event, unless it brings
// the record's id. Either way it is not taken for the delivery of another record.
func TestLateWebhook(t *testing.T) {
	t.Parallel()
	b := startBroker(t, "late-webhook", "late-webhookown")
	for wide, events := range map[string]int{"": 3, "own": 2} {
		c := &cloud{name: "late-webhook" + wide, v: variant{wide: wide}}
		at := time.Now().Add(-20 * time.Minute).Truncate(time.Millisecond)
		first := happening{id: "r-1", action: "TaskStateChanged", entity: "t-1", at: at, lost: true}
		c.log = []happening{first}
		r := c.reconciler(t, b)
		if report := once(t, r, Request{}); report.Published != 1 {
			t.Fatal(brief(report))
		}
		second := happening{id: "r-2", action: "TaskStateChanged", entity: "t-1", at: at.Add(10 * time.Minute)}
		c.log = append(c.log, second)
		c.deliver(t, b, second, second.at)
		c.deliver(t, b, first, at.Add(12*time.Minute))
		if report := once(t, r, Request{}); report.Missing != 0 {
			t.Error(brief(report))
		}
		n := 0
		for _, m := range b.stored(c.name) {
			if m.Event.Type() == "com.factro.TaskStateChanged" {
				n++
			}
		}
		if n != events {
			t.Errorf("deliveries with %q ids: the stream has %d events, want %d", wide, n, events)
		}
	}
}

// TestWindows: a list that is longer than what is compared at once is compared in windows, with the same outcome.
func TestWindows(t *testing.T) {
	t.Parallel()
	b := startBroker(t, "windows0", "windows1")
	for i, v := range []variant{{delay: 5 * time.Second, shuffled: true}, {nullIDs: true, wide: "own", delay: 5 * time.Second}} {
		c := &cloud{name: fmt.Sprintf("windows%d", i), v: v, source: rand.New(rand.NewPCG(1, 1))}
		c.happen(t, b, 160, time.Now().Add(-6*time.Minute), 4*time.Hour, 0.3)
		r := c.reconciler(t, b, func(cfg *Config) { cfg.Overlap, cfg.Grace = 5*time.Minute, time.Minute })
		r.most = 60
		report := once(t, r, Request{Since: time.Now().Add(-6 * time.Hour)})
		if c.reads < 3 || report.Published != c.lost() {
			t.Errorf("%d readings, %d lost: %s", c.reads, c.lost(), brief(report))
		}
		c.wantLog(t, b, true)
		if again := once(t, r, Request{Since: time.Now().Add(-6 * time.Hour), DryRun: true}); again.Missing != 0 {
			t.Errorf("one run more found %s", brief(again))
		}
		r.most = 1
		c.log = append(c.log, c.log[100], c.log[100]) // three of one millisecond
		for j := range 3 {
			c.log[len(c.log)-1-j].id += fmt.Sprint(j)
			c.log[len(c.log)-1-j].at = c.log[100].at
		}
		if _, err := r.Once(t.Context(), Request{Since: time.Now().Add(-6 * time.Hour), DryRun: true}); err == nil {
			t.Error("more records of one time than can be compared were compared")
		}
	}
}

// TestGapEvents: the bridge reports a gap before and after it publishes what is missing, the oldest first.
func TestGapEvents(t *testing.T) {
	t.Parallel()
	b := startBroker(t, "gap")
	c := &cloud{name: "gap", v: variant{shuffled: true}, source: rand.New(rand.NewPCG(3, 3))}
	c.happen(t, b, 150, time.Now().Add(-6*time.Minute), 30*time.Minute, 1)
	if report := once(t, c.reconciler(t, b), Request{DryRun: true}); report.Missing != 150 || report.Published != 0 || len(b.stored("gap")) != 0 {
		t.Errorf("the rehearsal gave %s", brief(report))
	}
	if report := once(t, c.reconciler(t, b), Request{}); report.Missing != 150 || len(report.Gaps) != 150 {
		t.Errorf("the run gave %s", brief(report))
	}
	all := b.stored("gap")
	if len(all) != 152 {
		t.Fatalf("the stream has %d events, want 150 between two", len(all))
	}
	opened, closed := all[0], all[151]
	for _, m := range all[1:151] {
		if before := opened.Event.Time(); m.Event.Time().Before(before) && m.Event.Type() == opened.Event.Type() {
			t.Errorf("%s is out of order", m.Event.ID())
		}
		if origin := m.Event.Extensions()[attr.Origin]; origin != Origin {
			t.Errorf("%s has the origin %v", m.Event.ID(), origin)
		}
	}
	for i := 2; i < 151; i++ {
		if all[i].Event.Time().Before(all[i-1].Event.Time()) {
			t.Errorf("%s is older than the one before it", all[i].Event.ID())
		}
	}
	one, err := gap.Of(opened.Event)
	two, err2 := gap.Of(closed.Event)
	if err != nil || err2 != nil || one.GapID == "" || one.GapID != two.GapID {
		t.Fatalf("the gap is %+v (%v), then %+v (%v)", one, err, two, err2)
	}
	if one.Missing != 150 || one.Published != 0 || two.Published != 150 || len(one.Records) != gap.MaxRecords || len(one.ByAction) != len(testActions) {
		t.Errorf("the gap is %+v, then %+v", one, two)
	}
	if want := prefix.Event("gap", "bridge", one.GapID, gap.Closed); closed.Subject != want || closed.Event.Type() != gap.ClosedType {
		t.Errorf("the end is %s on %s, want it on %s", closed.Event.Type(), closed.Subject, want)
	}
}

// brief is a report without its lists.
func brief(r Report) string {
	r.Gaps, r.ByAction = nil, nil
	return fmt.Sprintf("%+v", r)
}
