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
	"github.com/factro-bridge/factro-bridge/pkg/events/gap"
)

// Request sets the options of a run.
type Request struct {
	// Since begins the time that is compared; zero means the checkpoint, or an overlap ago if there is none.
	Since time.Time
	// DryRun finds what is missing without changing anything.
	DryRun bool
	// All makes the report list all that is missing, and not only the first 1000.
	All bool
	// Progress, if not nil, gets the run's progress.
	Progress *progress.Task
}

// state is what the lease keeps between runs.
type state struct {
	// Checkpoint is the time before which the stream is known to have all of factro's list. It is never closer to the
	// present than the overlap, since records may arrive late.
	Checkpoint time.Time `json:"checkpoint"`
	// RanAt is when the last successful run began.
	RanAt time.Time `json:"ranAt"`
	// OwnPathAt is when factro's list last had records of webhooks with the bridge's own path.
	OwnPathAt time.Time `json:"ownPathAt,omitzero"`
}

// Once makes one run now, as soon as no other process reconciles the cloud. Without an error the stream of events now has
// everything that the report lists as missing. After an error some of it may have been published; the next run finds out.
func (r *Reconciler) Once(ctx context.Context, q Request) (Report, error) {
	return r.run(ctx, q, false)
}

// run is Once. On the timer, a recent run of another process is enough.
func (r *Reconciler) run(ctx context.Context, q Request, onTimer bool) (report Report, err error) {
	ctx, span := r.tracer.Start(ctx, "reconcile "+r.cfg.Cloud)
	defer span.End()
	outcome := "failed"
	report = Report{
		Cloud: r.cfg.Cloud, Since: q.Since, DryRun: q.DryRun, ByAction: map[string]int{}, Gaps: []gap.Record{},
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
	// A run that began after the checkpoint proves nothing about the time in between.
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

// upTo corrects a checkpoint from a process whose clock was ahead: a checkpoint in the future would skip the time until
// then.
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

// pass is the state of one run.
type pass struct {
	report   *Report
	all      bool // whether the report lists everything
	progress *progress.Task
	ownPath  bool // whether there are or were recently records of webhooks with the bridge's own path
	own      bool // whether there were in this run
	// open is the time from which another run has to decide again.
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

// windows compares the time of the report, in as many windows as needed. Each window is read from an overlap before it: the
// records of that time are decided already, but their events must not match other records.
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
		case behind > 0: // the overlap alone fills the window
			behind = 0
		default:
			return errTooMany
		}
	}
}

// window reads the records since a time, decides those from another time on, and publishes what is missing. It returns the
// end of what was decided, zero if that is everything.
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
		// Records that were dropped may have events in the last overlap of the window, which must not match other records.
		if end = time.UnixMilli(got.end).Add(-r.cfg.Overlap); !end.After(from) {
			end = time.UnixMilli(got.end)
		}
		if !end.After(from) {
			return end, nil
		}
	}
	// Events in this process's spool have to arrive first: they are not missing.
	if r.spool != nil {
		if err := r.drained(ctx); err != nil {
			return end, fmt.Errorf("wait for the spool: %w", err)
		}
	}
	stream, err := r.events(ctx, since, got, p)
	if err != nil {
		return end, err
	}
	if from.Before(stream.whole.Add(maxSkew)) && !stream.whole.IsZero() { // the stream may have lost earlier events
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
			// An older record may match this event, if it took its time, so that record has to be decided again, too.
			if again := time.UnixMilli(rec.at).Add(-r.cfg.Grace - maxSkew); again.Before(p.open) {
				p.open = again
			}
			// A time so far ahead that no clock explains it would start the next run at once, forever.
			if rec.at <= time.Now().Add(maxSkew).UnixMilli() {
				young++
			}
		default:
			missing = append(missing, rec)
		}
	}
	report.Young = young
	return end, r.publishMissing(ctx, held, got, missing, p)
}

// decidable returns the time until which records without an event count as missing: the end of the report, but not what a
// spool may still hold. Another process's spool is not visible, but its events in the stream are, and so is an outage of
// NATS: a spool has to be flushed within grace after that.
func (r *Reconciler) decidable(report Report, sure time.Time) time.Time {
	until := report.Until
	if !sure.IsZero() {
		until = earlier(until, sure.Add(-r.cfg.Grace))
	}
	if lost, back := r.journal.Outage(); !back.IsZero() && time.Since(back) < r.cfg.Grace {
		until = earlier(until, lost.Add(-r.cfg.Grace))
	}
	if until.Before(report.Since) { // nothing is decidable
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

// drained waits for the spool, for a limited time: other processes may reconcile the cloud if this one cannot.
func (r *Reconciler) drained(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, spoolWait)
	defer cancel()
	return r.spool.Drained(ctx, r.cfg.Cloud)
}
