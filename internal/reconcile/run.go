package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"

	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Request says what a run is to do.
type Request struct {
	// Since begins the time that is compared; zero is the checkpoint, or an overlap ago if there is none.
	Since time.Time
	// DryRun finds what is missing, and changes nothing.
	DryRun bool
	// All has the report tell of all that is missing, and not of the first 1000 only.
	All bool
	// Progress, unless it is nil, gets to know how far the run is.
	Progress *progress.Task
}

// state is what the lease keeps from one run to the next.
type state struct {
	// Checkpoint is the time before which the stream is known to have all that factro's list had. It never comes closer
	// to the present than the overlap, since records may show up late.
	Checkpoint time.Time `json:"checkpoint"`
	// RanAt is when the last run that succeeded was begun.
	RanAt time.Time `json:"ranAt"`
	// OwnPathAt is when factro's list last had records of webhooks with the bridge's own path.
	OwnPathAt time.Time `json:"ownPathAt,omitzero"`
}

// Once makes one run now, as soon as no other process reconciles the cloud. Without an error the stream of events has
// everything that the report says it had not. After an error some of it may have been published; the next run sees that.
func (r *Reconciler) Once(ctx context.Context, q Request) (Report, error) {
	return r.run(ctx, q, false)
}

// run is Once. On the timer, it is enough if another process has just been there.
func (r *Reconciler) run(ctx context.Context, q Request, onTimer bool) (report Report, err error) {
	ctx, span := r.tracer.Start(ctx, "reconcile "+r.cfg.Cloud)
	defer span.End()
	outcome := "failed"
	report = Report{
		Cloud: r.cfg.Cloud, Since: q.Since, DryRun: q.DryRun, ByAction: map[string]int{}, Gaps: []events.GapRecord{},
	}
	defer func() {
		span.SetAttributes(attribute.Int("factro.reconcile.records", report.Records), attribute.Int("factro.reconcile.missing", report.Missing))
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		r.metrics.ran(ctx, outcome, report)
	}()

	q.Progress.Begin("wait for other runs of this cloud", "", 0)
	held, err := r.leases.Acquire(ctx, r.cfg.Cloud)
	if err != nil {
		return report, err
	}
	defer held.Release(ctx)
	now := time.Now()
	var last state
	if text := held.Value(); len(text) > 0 {
		if err := json.Unmarshal(text, &last); err != nil {
			return report, fmt.Errorf("checkpoint: %w", err)
		}
	}
	last = last.upTo(now, r.cfg.Overlap)
	if !last.Checkpoint.IsZero() {
		r.metrics.checkpoint.Store(last.Checkpoint.UnixMilli()) // another process may have moved it
	}
	if onTimer && now.Sub(last.RanAt) < r.cfg.Every/2 {
		outcome = "skipped"
		return report, nil
	}
	if report.Since.IsZero() {
		report.Since = last.Checkpoint
	}
	if report.Since.IsZero() {
		report.Since = now.Add(-r.cfg.Overlap)
	}
	report.Until = now.Add(-r.cfg.Grace)
	p := pass{report: &report, all: q.All, progress: q.Progress, ownPath: now.Sub(last.OwnPathAt) < pathHolds, open: now.Add(-r.cfg.Overlap)}
	if err := r.windows(ctx, held, &p); err != nil {
		return report, err
	}
	outcome = "whole"
	if report.Missing > 0 {
		outcome = "gap"
		r.log.InfoContext(ctx, "events were missing", "cloud", r.cfg.Cloud, "missing", report.Missing, "published", report.Published,
			"dry_run", q.DryRun)
	}
	if report.Unusable > 0 {
		r.log.WarnContext(ctx, "stored payloads without an action or a time cannot be reconciled", "cloud", r.cfg.Cloud, "records", report.Unusable)
	}
	// A run that began later than the checkpoint says nothing of the time in between.
	if q.DryRun || report.Since.After(last.Checkpoint) && !last.Checkpoint.IsZero() {
		return report, nil
	}
	if p.open.After(last.Checkpoint) {
		last.Checkpoint = p.open
	}
	last.RanAt = now
	if p.own {
		last.OwnPathAt = now
	}
	return report, r.keep(ctx, held, last)
}

// upTo takes back what the clock of another process was ahead: a checkpoint in the future would skip all until then.
func (s state) upTo(now time.Time, overlap time.Duration) state {
	if most := now.Add(-overlap); s.Checkpoint.After(most) {
		s.Checkpoint = most
	}
	if s.RanAt.After(now) {
		s.RanAt = time.Time{}
	}
	if s.OwnPathAt.After(now) {
		s.OwnPathAt = now
	}
	return s
}

// pass is what one run knows so far.
type pass struct {
	report   *Report
	all      bool // whether the report lists everything
	progress *progress.Task
	ownPath  bool // whether there were, a while ago or by now, records of webhooks with the bridge's own path
	own      bool // whether there were in this run
	// open is the time from which on another run has to decide again.
	open time.Time
}

func (r *Reconciler) keep(ctx context.Context, held *lease.Lease, s state) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := held.Keep(ctx, text); err != nil {
		return err
	}
	r.metrics.checkpoint.Store(s.Checkpoint.UnixMilli())
	return nil
}

var errTooMany = errors.New("more records are of one time than can be compared at once")

// windows compares the time of the report, in as many windows as it takes. Each window is read from an overlap before it:
// the records of that time are decided already, but their events must not be taken for those of others.
func (r *Reconciler) windows(ctx context.Context, held *lease.Lease, p *pass) error {
	from := p.report.Since
	for behind := r.cfg.Overlap; ; {
		end, err := r.window(ctx, held, from.Add(-behind), from, p)
		switch {
		case err != nil:
			return err
		case end.IsZero():
			return nil
		case end.After(from):
			from, behind = end, r.cfg.Overlap
		case behind > 0: // what lies behind fills the window by itself
			behind = 0
		default:
			return errTooMany
		}
	}
}

// window reads the records since a time, decides those from another time on, and publishes what is missing. It returns
// the end of what was decided, zero if that is everything.
func (r *Reconciler) window(ctx context.Context, held *lease.Lease, since, from time.Time, p *pass) (end time.Time, err error) {
	report := p.report
	got, err := r.read(ctx, since, p)
	if err != nil {
		return end, err
	}
	defer func() { err = errors.Join(err, got.spill.close()) }()
	p.own = p.own || got.own
	p.ownPath = p.ownPath || p.own
	// The first list is the longest: the next ones are parts of it.
	report.Records, report.Foreign, report.Unusable = max(report.Records, got.read), max(report.Foreign, got.foreign), max(report.Unusable, got.unusable)
	if got.end != math.MaxInt64 {
		// What was dropped may have events in the last overlap of the window, which others must not be given.
		if end = time.UnixMilli(got.end).Add(-r.cfg.Overlap); !end.After(from) {
			end = time.UnixMilli(got.end)
		}
		if !end.After(from) {
			return end, nil
		}
	}
	// Only now: what the spool holds has arrived, and is not missing.
	if r.spool != nil {
		if err := r.drained(ctx); err != nil {
			return end, fmt.Errorf("wait for the spool: %w", err)
		}
	}
	stream, err := r.events(ctx, since, got, p)
	if err != nil {
		return end, err
	}
	if from.Before(stream.whole.Add(maxSkew)) && !stream.whole.IsZero() { // the stream may have lost events from before
		from = stream.whole.Add(maxSkew)
	}
	report.Until = r.decidable(*report, stream.sure)
	ages := ages{report.Until.UnixMilli(), millis(r.cfg.Grace)}
	offset := match(got.records, stream.events, span{millis(maxSkew), millis(r.cfg.Overlap)}, ages)

	var missing []record
	young := 0
	for _, rec := range got.records {
		switch {
		case rec.at < from.UnixMilli(), !end.IsZero() && rec.at >= end.UnixMilli():
		case rec.by != unmatched:
			report.Matched.count(rec.by)
		case ages.young(rec.at, offset):
			// An older record may have its event, if that took its time: that one has to be decided again, too.
			if again := time.UnixMilli(rec.at).Add(-r.cfg.Grace - maxSkew); again.Before(p.open) {
				p.open = again
			}
			// One whose time is so far ahead that no clock explains it would have the next run come at once, for ever.
			if rec.at <= time.Now().Add(maxSkew).UnixMilli() {
				young++
			}
		default:
			missing = append(missing, rec)
		}
	}
	report.Young = young
	return end, r.mend(ctx, held, got, missing, p)
}

// decidable returns until when records without an event are missing: until then at most, and not what a spool may still
// hold. Another process's spool cannot be seen. What came out of it into the stream can, and so can that NATS was away for us:
// it has to be handed over within grace after that.
func (r *Reconciler) decidable(report Report, sure time.Time) time.Time {
	until := report.Until
	if !sure.IsZero() {
		until = earlier(until, sure.Add(-r.cfg.Grace))
	}
	if lost, back := r.journal.Outage(); !back.IsZero() && time.Since(back) < r.cfg.Grace {
		until = earlier(until, lost.Add(-r.cfg.Grace))
	}
	if until.Before(report.Since) { // nothing
		until = report.Since.Add(-time.Millisecond)
	}
	return until
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// drained waits for the spool, for a bounded time: others may reconcile the cloud if this process cannot.
func (r *Reconciler) drained(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, spoolWait)
	defer cancel()
	return r.spool.Drained(ctx, r.cfg.Cloud)
}
