package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// mend publishes what is missing, the oldest first, between the word that there is a gap and the word that there is none
// any more. Before each event it makes sure that the lease is still ours. Should another process publish the same event
// nevertheless, it has the same message id, and the stream keeps one.
func (r *Reconciler) mend(ctx context.Context, lease *bus.Lease, got *reading, missing []record, report *Report) error {
	if len(missing) == 0 {
		return nil
	}
	gap := events.Gap{
		GapID: r.newID(), Since: report.Since.UTC(), Until: report.Until.UTC(), Missing: len(missing),
		ByAction: map[string]int{}, Records: []events.GapRecord{},
	}
	report.Missing += len(missing)
	for _, rec := range missing { // once to tell
		e, err := r.event(got, rec)
		if err != nil {
			return err
		}
		gap.ByAction[e.Action]++
		report.ByAction[e.Action]++
		told := events.GapRecord{ID: e.ID(), Action: e.Action, Subject: e.Event.Subject(), CreatedAt: e.CreatedAt}
		if len(gap.Records) < events.MaxGapRecords {
			gap.Records = append(gap.Records, told)
		}
		if len(report.Gaps) < maxTold {
			report.Gaps = append(report.Gaps, told)
		}
	}
	if report.DryRun {
		return nil
	}
	if err := r.tell(ctx, lease, events.GapDetected, gap); err != nil {
		return err
	}
	for _, rec := range missing { // and once to publish: the records themselves may be too large to be held
		e, err := r.event(got, rec)
		if err != nil {
			return err
		}
		if err := lease.Check(ctx); err != nil {
			return err
		}
		subject := r.cfg.Prefix.Event(r.cfg.Cloud, e.Resource, e.EntityID, e.Action)
		if err := r.journal.Publish(ctx, subject, e.Event.Event, r.cfg.Cloud+"."+e.ID()); err != nil {
			return err
		}
		gap.Published++
		report.Published++
	}
	return r.tell(ctx, lease, events.GapClosed, gap)
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
	return s, nil
}

// tell publishes an event about a gap.
func (r *Reconciler) tell(ctx context.Context, lease *bus.Lease, action string, gap events.Gap) error {
	e, err := translate.Gap(r.cfg.Cloud, action, gap, time.Now())
	if err != nil {
		return err
	}
	if err := lease.Check(ctx); err != nil {
		return err
	}
	subject := r.cfg.Prefix.Event(r.cfg.Cloud, events.ResourceBridge, gap.GapID, action)
	return r.journal.Publish(ctx, subject, e, r.cfg.Cloud+"."+e.ID())
}
