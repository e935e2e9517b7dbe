package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events/gap"
)

// state reads what the lease of a cloud keeps.
func (b *broker) state(cloud string) state {
	b.t.Helper()
	l, err := b.leases.Acquire(b.t.Context(), cloud)
	if err != nil {
		b.t.Fatal(err)
	}
	defer l.Release(b.t.Context())
	var s state
	if text := l.Value(); text != nil {
		if err := json.Unmarshal(text, &s); err != nil {
			b.t.Fatal(err)
		}
	}
	return s
}

// lostAt is a change whose webhook did not arrive.
func lostAt(id string, ago time.Duration) happening {
	return happening{id: id, action: "TaskCreated", entity: "t-1", at: time.Now().Add(-ago).Truncate(time.Millisecond), lost: true}
}

// TestCheckpoint: it follows the present at the distance of the overlap, is never moved by a rehearsal, nor by a run that
// leaves out what came before.
func TestCheckpoint(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	c := &cloud{name: "acme", log: []happening{lostAt("r-1", 10*time.Minute)}}
	r := c.reconciler(t, b)
	once(t, r, Request{DryRun: true})
	if s := b.state("acme"); !s.Checkpoint.IsZero() {
		t.Errorf("a rehearsal made the checkpoint %s", s.Checkpoint)
	}
	before := time.Now()
	once(t, r, Request{})
	s := b.state("acme")
	if behind := before.Sub(s.Checkpoint); behind > time.Hour || behind < time.Hour-time.Minute || s.RanAt.Before(before) {
		t.Errorf("the checkpoint is %s behind, want an hour", behind)
	}
	once(t, r, Request{Since: time.Now().Add(-time.Minute)})
	if after := b.state("acme"); !after.Checkpoint.Equal(s.Checkpoint) {
		t.Errorf("a run over a minute moved the checkpoint from %s to %s", s.Checkpoint, after.Checkpoint)
	}
	if report := once(t, r, Request{}); !report.Since.Equal(s.Checkpoint) {
		t.Errorf("the next run began at %s, not at the checkpoint %s", report.Since, s.Checkpoint)
	}
}

// TestRecordOfAnotherCentury: a record whose time cannot be is not waited for, or each run would follow on the last.
func TestRecordOfAnotherCentury(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	c := &cloud{name: "acme", log: []happening{lostAt("r-1", -73*365*24*time.Hour), lostAt("r-2", 0)}}
	if report := once(t, c.reconciler(t, b), Request{}); report.Records != 2 || report.Young != 1 || report.Missing != 0 {
		t.Errorf("%s", brief(report))
	}
}

// TestGrace: a young record is not missing yet, and Run comes again for it.
func TestGrace(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	c := &cloud{name: "acme", log: []happening{lostAt("r-1", 0)}}
	if report := once(t, c.reconciler(t, b), Request{}); report.Young != 1 || report.Missing != 0 {
		t.Errorf("%s", brief(report))
	}
	r := c.reconciler(t, b, func(cfg *Config) { cfg.Grace, cfg.Every = time.Second, time.Hour })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	natstest.Eventually(t, "the run comes again for the young record", func() bool {
		return len(b.stored("acme")) >= 3 // the event between the two about the gap
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestOnlyWhatIsAskedFor: other actions, other webhooks and what is no record are left alone and counted.
func TestOnlyWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	b := startBroker(t, "c0", "c1", "c2", "c3", "c4", "c5", "odd")
	other := lostAt("r-2", 10*time.Minute)
	other.action = "TaskStateChanged"
	for i, tt := range []struct {
		change           func(*Config)
		missing, foreign int
	}{
		{func(cfg *Config) { cfg.Actions = []string{"TaskCreated"} }, 1, 1},
		{func(*Config) {}, 2, 2},
		{func(cfg *Config) { cfg.Callback = "https://else.example.com/hooks" }, 2, 2},
		{func(cfg *Config) { cfg.Callback = "https://nobody.example.com/hooks" }, 0, 4},
	} {
		c := &cloud{name: fmt.Sprintf("c%d", i), v: variant{foreign: true}, log: []happening{lostAt("r-1", 10*time.Minute), other}}
		report := once(t, c.reconciler(t, b, tt.change), Request{DryRun: true})
		if report.Missing != tt.missing || report.Foreign != tt.foreign {
			t.Errorf("%d: %s", i, brief(report))
		}
	}
	odd := records{`{"action":"TaskCreated"}`, `{"createdAt":"2026-01-01T00:00:00Z"}`, `[]`, `7`, `{"action":"A","createdAt":"soon"}`}
	r, err := New(Config{Cloud: "odd", Source: "urn:x", Prefix: prefix, Timing: timing()}, odd, b.bus, b.leases, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if report := once(t, r, Request{}); report.Unusable != len(odd) || report.Missing != 0 {
		t.Error(brief(report))
	}
}

// records is a list of stored payloads as it stands.
type records []string

func (r records) Stored(_ context.Context, _ time.Time, each func([]byte) error) error {
	for _, raw := range r {
		if err := each([]byte(raw)); err != nil {
			return err
		}
	}
	return nil
}

// TestShortenedStream: of the time before the stream's first message nothing is known to be missing.
func TestShortenedStream(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	c := &cloud{name: "acme", source: rand.New(rand.NewPCG(1, 1))}
	c.happen(t, b, 20, time.Now().Add(-6*time.Minute), 30*time.Minute, 0)
	s, err := b.js.Stream(t.Context(), prefix.EventStream("acme"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeSequence(15)); err != nil {
		t.Fatal(err)
	}
	if report := once(t, c.reconciler(t, b), Request{}); report.Missing != 0 {
		t.Errorf("what was deleted is taken for lost: %s", brief(report))
	}
}

// spool is a Spool whose content is drained when somebody asks.
type spool struct{ drain func() error }

func (s spool) Drained(context.Context, string) error { return s.drain() }

// TestSpool: what the spool holds is not missing.
func TestSpool(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	h := lostAt("r-1", 10*time.Minute)
	c := &cloud{name: "acme", log: []happening{h}}
	r := c.reconciler(t, b)
	r.spool = spool{func() error { c.deliver(t, b, h, h.at); return nil }}
	if report := once(t, r, Request{}); report.Missing != 0 || report.Matched.Context != 1 {
		t.Error(brief(report))
	}
	stuck := errors.New("the spool is stuck")
	r.spool = spool{func() error { return stuck }}
	if _, err := r.Once(t.Context(), Request{}); !errors.Is(err, stuck) {
		t.Errorf("a spool that is not drained gave %v", err)
	}
}

// thief is a journal that takes the lease away as soon as there is a gap.
type thief struct {
	stream
	steal func()
}

func (j thief) Publish(ctx context.Context, subject string, e event.Event, id string) error {
	err := j.Publisher.Publish(ctx, subject, e, id)
	if e.Type() == gap.DetectedType {
		j.steal()
	}
	return err
}

// lender lends leases and remembers the last one.
type lender struct {
	*lease.Leases
	last *lease.Lease
}

func (l *lender) Acquire(ctx context.Context, key string) (*lease.Lease, error) {
	held, err := l.Leases.Acquire(ctx, key)
	l.last = held
	return held, err
}

// TestLostLease: who has lost the lease publishes nothing more and does not move the checkpoint.
func TestLostLease(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	c := &cloud{name: "acme", log: []happening{lostAt("r-1", 10*time.Minute), lostAt("r-2", 9*time.Minute)}}
	lend := &lender{Leases: b.leases}
	journal := thief{b.bus, func() {
		kv, err := b.js.KeyValue(t.Context(), topology.ReconcileBucket(prefix))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.PutString(t.Context(), "acme", `{"holder":"somebody","value":{"checkpoint":"2026-01-01T00:00:00Z"}}`); err != nil {
			t.Fatal(err)
		}
		if err := lend.last.Keep(t.Context(), nil); !errors.Is(err, lease.ErrLost) { // as its renewal would find out
			t.Errorf("a lost lease is kept: %v", err)
		}
	}}
	r, err := New(Config{Cloud: "acme", Source: "urn:x", Prefix: prefix, Timing: timing()}, c, journal, lend, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	report, err := r.Once(t.Context(), Request{})
	if !errors.Is(err, lease.ErrLost) || report.Published != 0 || report.Missing != 2 {
		t.Errorf("got %v: %s", err, brief(report))
	}
	if all := b.stored("acme"); len(all) != 1 || all[0].Event.Type() != gap.DetectedType {
		t.Errorf("the stream has %d events, want the one about the gap", len(all))
	}
	kv, err := b.js.KeyValue(t.Context(), topology.ReconcileBucket(prefix))
	if err != nil {
		t.Fatal(err)
	}
	entry, err := kv.Get(t.Context(), "acme")
	if err != nil || !strings.Contains(string(entry.Value()), "2026-01-01") {
		t.Errorf("the checkpoint of the new holder is gone: %s, %v", entry.Value(), err)
	}
}

// TestFailure: factro's failure ends the run, and nothing is taken for missing or done.
func TestFailure(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	broken := errors.New("factro is away")
	c := &cloud{name: "acme", log: []happening{lostAt("r-1", 10*time.Minute)}}
	r := c.reconciler(t, b)
	r.payloads = failing{c, broken}
	if report, err := r.Once(t.Context(), Request{}); !errors.Is(err, broken) || report.Published != 0 {
		t.Errorf("got %v: %s", err, brief(report))
	}
	if s := b.state("acme"); !s.Checkpoint.IsZero() || len(b.stored("acme")) != 0 {
		t.Errorf("a failed run left %+v and %d events", s, len(b.stored("acme")))
	}
}

// failing fails behind the last record.
type failing struct {
	Payloads
	err error
}

func (f failing) Stored(ctx context.Context, since time.Time, each func([]byte) error) error {
	return errors.Join(f.Payloads.Stored(ctx, since, each), f.err)
}

// TestSpill: records are what they were, in memory and in the file, and nothing is left of it.
func TestSpill(t *testing.T) {
	t.Parallel()
	s := &spill{held: 10}
	var places []place
	texts := []string{"one", "two", "", "three", "Größe 4"}
	for _, text := range texts {
		p, err := s.add([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, p)
		for i, p := range places {
			if got, err := s.read(p); err != nil || string(got) != texts[i] {
				t.Errorf("%q became %q, %v", texts[i], got, err)
			}
		}
	}
	name := s.file.Name()
	if _, err := os.Stat(name); !os.IsNotExist(err) && runtime.GOOS != "windows" { // whatever becomes of this process
		t.Errorf("the file can be found: %v", err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(name); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

// TestNearest: the nearest go together, and nobody goes with what is out of the span.
func TestNearest(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		records, events []int64
		want            []pair
	}{
		"none":                  {nil, nil, nil},
		"in order":              {[]int64{0, 10}, []int64{1, 11}, []pair{{0, 0}, {1, 1}}},
		"the first is lost":     {[]int64{0, 10}, []int64{11}, []pair{{1, 0}}},
		"too late":              {[]int64{0}, []int64{101}, nil},
		"just in time":          {[]int64{0}, []int64{100}, []pair{{0, 0}}},
		"a little early":        {[]int64{10}, []int64{5}, []pair{{0, 0}}},
		"too early":             {[]int64{10}, []int64{4}, nil},
		"what is between goes":  {[]int64{0, 20}, []int64{19, 30}, []pair{{1, 0}, {0, 1}}},
		"an event is too many":  {[]int64{50}, []int64{48, 53, 60}, []pair{{0, 0}}},
		"equal times":           {[]int64{5, 5, 5}, []int64{5, 5}, []pair{{2, 0}, {0, 1}}},
		"early ones are passed": {[]int64{100, 110}, []int64{90, 111}, []pair{{1, 1}}},
	} {
		var line []moment
		for i, at := range tt.records {
			line = append(line, moment{at, i, false})
		}
		for i, at := range tt.events {
			line = append(line, moment{at, i, true})
		}
		got := nearest(line, span{5, 100})
		if name == "equal times" { // interchangeable
			if len(got) != 2 {
				t.Errorf("%s: %v", name, got)
			}
			continue
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// TestValidate: each mistake is reported.
func TestValidate(t *testing.T) {
	t.Parallel()
	err := Config{Timing: Timing{Grace: -1, Overlap: -2}, Callback: "nowhere"}.Validate()
	for _, want := range []string{"reconcile.every", "reconcile.grace", "reconcile.overlap", "webhook.url"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
}
