package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/gap"
)

// publishMissing publishes what is missing, the oldest first, between an event that reports the gap and one that reports
// its end. Before each event it checks that we still have the lease. If another process publishes the same event anyway, it
// has the same message id, and the stream keeps one.
func (r *Reconciler) publishMissing(ctx context.Context, held *lease.Lease, got *reading, missing []record, p *pass) error {
	report := p.report
	missing = r.withoutDeadLettered(got, missing)
	if len(missing) == 0 {
		return nil
	}
	found := gap.Gap{
		GapID: r.newID(), Since: report.Since.UTC(), Until: report.Until.UTC(), Missing: len(missing),
		ByAction: map[string]int{}, Records: []gap.Record{},
	}
	report.Missing += len(missing)
	for _, rec := range missing { // first for the report
		e, err := r.event(got, rec)
		if err != nil {
			return err
		}
		found.ByAction[e.Action]++
		report.ByAction[e.Action]++
		record := gap.Record{ID: e.ID(), Action: e.Action, Subject: e.Event.Subject(), CreatedAt: e.CreatedAt}
		if len(found.Records) < gap.MaxRecords {
			found.Records = append(found.Records, record)
		}
		if p.all || len(report.Gaps) < maxReported {
			report.Gaps = append(report.Gaps, record)
		}
	}
	if report.DryRun {
		return nil
	}
	if err := r.reportGap(ctx, held, gap.Detected, found); err != nil {
		return err
	}
	p.progress.Begin("publish what is missing", "event", int64(len(missing)))
	for _, rec := range missing { // then to publish: the records may be too large for memory
		e, err := r.event(got, rec)
		if err != nil {
			return err
		}
		if err := held.Check(ctx); err != nil {
			return err
		}
		subject := r.cfg.Prefix.Event(r.cfg.Cloud, e.Resource, e.EntityID, e.Action)
		err = r.journal.Publish(ctx, subject, e.Event.Event, r.cfg.Cloud+"."+e.ID())
		if publish.Permanent(err) { // an event that is never accepted must not block the others
			if err := r.deadLetter(ctx, e, err); err != nil {
				return err
			}
			p.progress.Add(1)
			continue
		}
		if err != nil {
			return err
		}
		found.Published++
		report.Published++
		p.progress.Add(1)
	}
	return r.reportGap(ctx, held, gap.Closed, found)
}

// event makes the event of a record, from the record itself.
func (r *Reconciler) event(got *reading, rec record) (translate.Stored, error) {
	raw, err := got.spill.read(rec.where)
	if err != nil {
		return translate.Stored{}, err
	}
	s, err := translate.StoredPayload(raw, r.receipt())
	if err != nil {
		return translate.Stored{}, fmt.Errorf("a record changed on disk: %w", err)
	}
	if rec.derived {
		s.SetID(translate.DerivedID(rec.digest, rec.ordinal))
	}
	if rec.shared {
		s.SetID(identity.OwnID(s.ID(), s.Data()))
	}
	return s, nil
}

// reportGap publishes an event about a gap.
func (r *Reconciler) reportGap(ctx context.Context, held *lease.Lease, action string, g gap.Gap) error {
	e, err := translate.Gap(r.cfg.Cloud, action, g, time.Now())
	if err != nil {
		return err
	}
	if err := held.Check(ctx); err != nil {
		return err
	}
	subject := r.cfg.Prefix.Event(r.cfg.Cloud, events.ResourceBridge, g.GapID, action)
	err = r.journal.Publish(ctx, subject, e, r.cfg.Cloud+"."+e.ID())
	if publish.Permanent(err) && len(g.Records) > 0 { // it is useful without the list too
		g.Records = []gap.Record{}
		return r.reportGap(ctx, held, action, g)
	}
	if publish.Permanent(err) {
		r.log.ErrorContext(ctx, "the broker refuses the event about a gap for good", "cloud", r.cfg.Cloud, "gap_id", g.GapID, "error", err)
		return nil
	}
	return err
}

// deadLetter makes a dead letter of an event that the broker refuses permanently.
func (r *Reconciler) deadLetter(ctx context.Context, e translate.Stored, why error) error {
	id := r.cfg.Cloud + "." + e.ID() + ".dead"
	if err := r.journal.Quarantine(ctx, r.cfg.Prefix.DeadWebhook(r.cfg.Cloud), id, "too_large", why, e.Event.Data(), nil); err != nil {
		return err
	}
	r.deadLettered[e.ID()] = time.Now()
	r.log.ErrorContext(ctx, "the broker refuses a missing event for good; it is kept as a dead letter", "cloud", r.cfg.Cloud, "event_id", e.ID(), "error", why)
	return nil
}

// withoutDeadLettered leaves out what an earlier run made a dead letter: the overlap finds it missing again.
func (r *Reconciler) withoutDeadLettered(got *reading, missing []record) []record {
	for id, at := range r.deadLettered {
		if time.Since(at) > 2*r.cfg.Overlap+r.cfg.Every {
			delete(r.deadLettered, id)
		}
	}
	if len(r.deadLettered) == 0 {
		return missing
	}
	return slices.DeleteFunc(missing, func(rec record) bool {
		e, err := r.event(got, rec)
		if err != nil {
			return false // the error is reported when it is published
		}
		_, known := r.deadLettered[e.ID()]
		return known
	})
}
