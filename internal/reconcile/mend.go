package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// mend publishes what is missing, the oldest first, between the word that there is a gap and the word that there is none
// any more. Before each event it makes sure that the lease is still ours. Should another process publish the same event
// nevertheless, it has the same message id, and the stream keeps one.
func (r *Reconciler) mend(ctx context.Context, held *lease.Lease, got *reading, missing []record, p *pass) error {
	report := p.report
	missing = r.unburied(got, missing)
	if len(missing) == 0 {
		return nil
	}
	gap := events.Gap{
		GapID: r.newID(), Since: report.Since.UTC(), Until: report.Until.UTC(), Missing: len(missing),
		ByAction: map[string]int{}, Records: []events.GapRecord{},
	}
	report.Missing += len(missing)
	for _, rec := range missing { // once to report
		e, err := r.event(got, rec)
		if err != nil {
			return err
		}
		gap.ByAction[e.Action]++
		report.ByAction[e.Action]++
		record := events.GapRecord{ID: e.ID(), Action: e.Action, Subject: e.Event.Subject(), CreatedAt: e.CreatedAt}
		if len(gap.Records) < events.MaxGapRecords {
			gap.Records = append(gap.Records, record)
		}
		if p.all || len(report.Gaps) < maxReported {
			report.Gaps = append(report.Gaps, record)
		}
	}
	if report.DryRun {
		return nil
	}
	if err := r.tell(ctx, held, events.GapDetected, gap); err != nil {
		return err
	}
	p.progress.Begin("publish what is missing", "event", int64(len(missing)))
	for _, rec := range missing { // and once to publish: the records themselves may be too large to be held
		e, err := r.event(got, rec)
		if err != nil {
			return err
		}
		if err := held.Check(ctx); err != nil {
			return err
		}
		subject := r.cfg.Prefix.Event(r.cfg.Cloud, e.Resource, e.EntityID, e.Action)
		err = r.journal.Publish(ctx, subject, e.Event.Event, r.cfg.Cloud+"."+e.ID())
		if bus.Permanent(err) { // the others are not to wait for what is never taken
			if err := r.bury(ctx, e, err); err != nil {
				return err
			}
			p.progress.Add(1)
			continue
		}
		if err != nil {
			return err
		}
		gap.Published++
		report.Published++
		p.progress.Add(1)
	}
	return r.tell(ctx, held, events.GapClosed, gap)
}

// event makes the event of a record, from the record itself.
func (r *Reconciler) event(got *reading, rec record) (translate.Stored, error) {
	raw, err := got.spill.read(rec.where)
	if err != nil {
		return translate.Stored{}, err
	}
	s, err := translate.StoredPayload(raw, r.receipt())
	if err != nil {
		return translate.Stored{}, fmt.Errorf("a record changed while it was kept: %w", err)
	}
	if rec.derived {
		s.SetID(translate.DerivedID(rec.digest, rec.ordinal))
	}
	if rec.shared {
		s.SetID(events.OwnID(s.ID(), s.Data()))
	}
	return s, nil
}

// tell publishes an event about a gap.
func (r *Reconciler) tell(ctx context.Context, held *lease.Lease, action string, gap events.Gap) error {
	e, err := translate.Gap(r.cfg.Cloud, action, gap, time.Now())
	if err != nil {
		return err
	}
	if err := held.Check(ctx); err != nil {
		return err
	}
	subject := r.cfg.Prefix.Event(r.cfg.Cloud, events.ResourceBridge, gap.GapID, action)
	err = r.journal.Publish(ctx, subject, e, r.cfg.Cloud+"."+e.ID())
	if bus.Permanent(err) && len(gap.Records) > 0 { // it is worth more without the list than not at all
		gap.Records = []events.GapRecord{}
		return r.tell(ctx, held, action, gap)
	}
	if bus.Permanent(err) {
		r.log.ErrorContext(ctx, "the broker refuses the event about a gap for good", "cloud", r.cfg.Cloud, "gap_id", gap.GapID, "error", err)
		return nil
	}
	return err
}

// bury makes a dead letter of an event that the broker refuses for good.
func (r *Reconciler) bury(ctx context.Context, e translate.Stored, why error) error {
	id := r.cfg.Cloud + "." + e.ID() + ".dead"
	if err := r.journal.Quarantine(ctx, r.cfg.Prefix.DeadWebhook(r.cfg.Cloud), id, "too_large", why, e.Event.Data(), nil); err != nil {
		return err
	}
	r.buried[e.ID()] = time.Now()
	r.log.ErrorContext(ctx, "the broker refuses a missing event for good; it is kept as a dead letter", "cloud", r.cfg.Cloud, "event_id", e.ID(), "error", why)
	return nil
}

// unburied leaves out what was buried by an earlier run: the overlap has it come again.
func (r *Reconciler) unburied(got *reading, missing []record) []record {
	for id, at := range r.buried {
		if time.Since(at) > 2*r.cfg.Overlap+r.cfg.Every {
			delete(r.buried, id)
		}
	}
	if len(r.buried) == 0 {
		return missing
	}
	return slices.DeleteFunc(missing, func(rec record) bool {
		e, err := r.event(got, rec)
		if err != nil {
			return false // who publishes it says so
		}
		_, known := r.buried[e.ID()]
		return known
	})
}
