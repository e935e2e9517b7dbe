package reconcile

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// TestYoungerEqual: the event of an older record is not given to an equal younger one whose own is under way.
func TestYoungerEqual(t *testing.T) {
	t.Parallel()
	b := startBroker(t, "younger")
	c := &cloud{name: "younger"}
	now := time.Now().Truncate(time.Millisecond)
	first := happening{id: "r-1", action: "TaskStateChanged", entity: "t-1", at: now.Add(-6 * time.Minute)}
	second := happening{id: "r-2", action: "TaskStateChanged", entity: "t-1", at: now.Add(-2 * time.Minute)}
	c.log = []happening{first, second}
	c.deliver(t, b, first, now.Add(-2*time.Minute-time.Second))
	r := c.reconciler(t, b, func(cfg *Config) { cfg.Grace = 5 * time.Minute })
	if report := once(t, r, Request{}); report.Missing != 0 || report.Young != 1 {
		t.Errorf("while one is under way: %s", brief(report))
	}
	if open := now.Add(-time.Hour); b.state("younger").Checkpoint.Before(open) {
		t.Errorf("the checkpoint is %s, want about %s", b.state("younger").Checkpoint, open)
	}
	c.deliver(t, b, second, now)
	if report := once(t, r, Request{}); report.Missing != 0 || report.Young != 0 {
		t.Errorf("when both came: %s", brief(report))
	}
	c.wantLog(t, b, true)
}

// TestClockBehind: what is older by factro's clock than it is by ours is not missing yet.
func TestClockBehind(t *testing.T) {
	t.Parallel()
	b := startBroker(t, "behind")
	c := &cloud{name: "behind", v: variant{skew: -4 * time.Minute}, source: rand.New(rand.NewPCG(1, 1))}
	c.happen(t, b, 40, time.Now().Add(-10*time.Minute), 30*time.Minute, 0)
	under := happening{id: "r-x", action: "TaskCreated", entity: "t-x", at: time.Now().Add(-time.Minute)}
	c.log = append(c.log, under)
	r := c.reconciler(t, b, func(cfg *Config) { cfg.Grace = 3 * time.Minute })
	if report := once(t, r, Request{}); report.Missing != 0 || report.Young != 1 {
		t.Error(brief(report))
	}
}

// outage is a journal of a bus that was away.
type outage struct {
	stream
	lost, back time.Time
}

func (o outage) Outage() (lost, back time.Time) { return o.lost, o.back }

// TestSpoolOfAnotherProcess: after an outage others may hold events back, so what happened meanwhile is not missing before
// grace is over, nor while a spool is handed over. It is decided afterwards, however long ago it was.
func TestSpoolOfAnotherProcess(t *testing.T) {
	t.Parallel()
	b := startBroker(t, "spool0", "spool1", "spool2", "spool3", "spool4", "spool5", "spool6")
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d).Truncate(time.Millisecond) }
	for i, tt := range []struct {
		lost, back time.Time
		spooled    time.Duration // how long ago the webhook came that was handed over just now; 0 if none was
		missing    int
	}{
		{},
		{lost: ago(3 * time.Hour), back: ago(time.Minute)},
		{lost: time.Time{}, back: ago(time.Minute)},
		{lost: ago(20 * time.Minute), back: ago(time.Minute), missing: 1},
		{lost: ago(3 * time.Hour), back: ago(6 * time.Minute), missing: 2},
		{spooled: 100 * time.Minute},
		{spooled: 20 * time.Minute, missing: 1},
	} {
		c := &cloud{name: fmt.Sprintf("spool%d", i)}
		c.log = []happening{lostAt("r-1", 90*time.Minute), lostAt("r-2", 10*time.Minute)}
		if i == 0 {
			tt.missing = 2
		}
		if tt.spooled > 0 {
			e, err := translate.Webhook([]byte(`{"action":"TaskDeleted","context":{"entityId":"t-9"}}`), translate.Receipt{
				Cloud: c.name, Source: "urn:x", At: ago(tt.spooled), Origin: "spool", NewID: func() string { return "spooled" },
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := b.bus.Publish(t.Context(), prefix.Event(c.name, "task", "t-9", e.Action), e.Event, c.name+".spooled"); err != nil {
				t.Fatal(err)
			}
		}
		r := c.reconciler(t, b, func(cfg *Config) { cfg.Grace = 5 * time.Minute })
		r.journal = outage{b.bus, tt.lost, tt.back}
		since := time.Now().Add(-2 * time.Hour)
		report := once(t, r, Request{Since: since})
		if report.Missing != tt.missing || report.Young != 2-tt.missing {
			t.Errorf("%d: %s", i, brief(report))
		}
		if open := b.state(c.name).Checkpoint; tt.missing == 0 && !open.Before(c.log[0].at) {
			t.Errorf("%d: the checkpoint %s is behind what is not decided", i, open)
		}
		r.journal, r.cfg.Grace = b.bus, 0
		if report := once(t, r, Request{}); tt.missing == 0 && report.Missing != 2 {
			t.Errorf("%d: afterwards %s", i, brief(report))
		}
		c.wantLog(t, b, true)
	}
}

// TestClockOfAnotherProcess: a checkpoint that a fast clock set into the future neither skips runs nor records.
func TestClockOfAnotherProcess(t *testing.T) {
	t.Parallel()
	b := startBroker(t, "fast")
	l, err := b.leases.Acquire(t.Context(), "fast")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Keep(t.Context(), []byte(`{"checkpoint":"2999-01-01T00:00:00Z","ranAt":"2999-01-01T01:00:00Z"}`)); err != nil {
		t.Fatal(err)
	}
	l.Release(t.Context())
	c := &cloud{name: "fast", log: []happening{lostAt("r-1", 10*time.Minute)}}
	r := c.reconciler(t, b)
	report, err := r.run(t.Context(), Request{}, true)
	if err != nil || report.Published != 1 {
		t.Errorf("%v: %s", err, brief(report))
	}
	if s := b.state("fast"); s.Checkpoint.After(time.Now()) || s.RanAt.After(time.Now()) {
		t.Errorf("left is %+v", s)
	}
	other := c.reconciler(t, b) // which has nothing to do, and knows how far the first one is
	if report, err := other.run(t.Context(), Request{}, true); err != nil || report.Records != 0 {
		t.Errorf("%v: %s", err, brief(report))
	}
	if age := time.Since(time.UnixMilli(other.metrics.checkpoint.Load())); age > 2*time.Hour {
		t.Errorf("the process that skipped tells a checkpoint of %s ago", age)
	}
}

// TestQuietHour: once the bridge's own path was seen, records of other webhooks alone are not taken for ours.
func TestQuietHour(t *testing.T) {
	t.Parallel()
	b := startBroker(t, "quiet")
	const one = `{"id":"%s","action":"TaskCreated","createdAt":"%s","context":{"entityId":"t-1"},"webhook":{"callbackUri":"%s"}}`
	at := time.Now().Add(-10 * time.Minute).UTC().Format(time.RFC3339Nano)
	foreign := fmt.Sprintf(one, "f-1", at, "https://else.example.com/hooks")
	c := &cloud{name: "quiet"}
	r := c.reconciler(t, b)
	for _, tt := range []struct {
		list             records
		missing, foreign int
	}{
		{records{fmt.Sprintf(one, "r-1", at, "https://bridge.example.com/webhooks/quiet"), foreign}, 1, 1},
		{records{foreign}, 0, 1},
	} {
		r.payloads = tt.list
		if report := once(t, r, Request{}); report.Missing != tt.missing || report.Foreign != tt.foreign {
			t.Errorf("%d records: %s", len(tt.list), brief(report))
		}
	}
}

// TestSpilledRecords: what is kept of a record tells nothing of its webhook.
func TestSpilledRecords(t *testing.T) {
	t.Parallel()
	b := startBroker(t, "spilled")
	c := &cloud{name: "spilled", log: []happening{lostAt("r-1", 10*time.Minute)}}
	got, err := c.reconciler(t, b).read(t.Context(), time.Now().Add(-time.Hour), &pass{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := got.spill.read(got.records[0].where)
	if err != nil || strings.Contains(string(raw), "callbackUri") || !strings.Contains(string(raw), `"r-1"`) {
		t.Errorf("kept is %s, %v", raw, err)
	}
}
