package reconcile

import (
	"context"
	"errors"
	"math"
	"path"
	"slices"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/internal/translate/compare"
)

// reading is the result of one reading of factro's list.
type reading struct {
	spill    spill
	records  []record
	read     int // records in the list
	unusable int // records that are invalid or have no time
	foreign  int // records of other webhooks
	// own is set if there are records of webhooks with the bridge's own path.
	own bool
	// end is the time before which the reading is complete, in milliseconds. It is set if there were more records than are
	// compared at once, and the youngest were dropped.
	end int64
}

// read reads factro's list since a time.
func (r *Reconciler) read(ctx context.Context, since time.Time, p *pass) (*reading, error) {
	out := &reading{spill: spill{held: maxHeld}, end: math.MaxInt64}
	ourPath := path.Join("/webhooks", r.cfg.Cloud)
	p.progress.Begin("read what factro has stored", "record", 0)
	err := r.payloads.Stored(ctx, since, func(raw []byte) error {
		out.read++
		p.progress.Add(1)
		s, err := translate.StoredPayload(raw, r.receipt())
		if err != nil {
			out.unusable++
			return nil //nolint:nilerr // an invalid record must not hide the others
		}
		at := s.CreatedAt.UnixMilli()
		if len(r.cfg.Actions) > 0 && !r.wants(s.Action) || at >= out.end || at < since.UnixMilli() {
			return nil
		}
		where, err := out.spill.add(s.Data()) // without the key webhook
		if err != nil {
			return err
		}
		out.records = append(out.records, newRecord(s, ourPath, where))
		if len(out.records) >= 2*r.most {
			out.cut(r.most)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, out.spill.close())
	}
	if len(out.records) > r.most {
		out.cut(r.most)
	}
	out.own = slices.ContainsFunc(out.records, func(r record) bool { return r.ours })
	out.records, out.foreign = onlyOurs(out.records, r.cfg.Callback, p.ownPath)
	slices.SortFunc(out.records, byTime)
	out.records = number(out.records)
	return out, nil
}

// wants reports whether an action is configured to be reconciled.
func (r *Reconciler) wants(action string) bool {
	return slices.ContainsFunc(r.cfg.Actions, func(a string) bool { return compare.Plain(a) == compare.Plain(action) })
}

// cut keeps the oldest records. Records of one millisecond stay or go together.
func (d *reading) cut(most int) {
	slices.SortFunc(d.records, byTime)
	d.end = d.records[most].at
	n, _ := slices.BinarySearchFunc(d.records, d.end, func(r record, at int64) int {
		if r.at < at {
			return -1
		}
		return 1
	})
	d.records = slices.Delete(d.records, n, len(d.records))
}

// contents is the result of one reading of the stream.
type contents struct {
	events []streamEvent
	whole  time.Time // since when the stream is complete
	// sure is the time before which no spool holds an event back, as far as the stream shows: a spool that has just been
	// flushed may continue, in order. Zero if none was.
	sure time.Time
}

// events reads the stream's events of the time of the records.
func (r *Reconciler) events(ctx context.Context, since time.Time, got *reading, p *pass) (out contents, err error) {
	first, end := int64(math.MaxInt64), got.end // without records, no event is kept
	if end != math.MaxInt64 {
		end += millis(r.cfg.Overlap)
	}
	if len(got.records) > 0 {
		first = got.records[0].at - millis(r.cfg.Overlap)
	}
	recent := time.Now().Add(-r.cfg.Grace)
	p.progress.Begin("read the stream of events", "event", 0)
	out.whole, err = r.journal.Events(ctx, r.cfg.Cloud, since.Add(-maxSkew), func(m journal.Message) {
		p.progress.Left(m.Pending)
		e, ok := newStreamEvent(m)
		if !ok {
			return
		}
		if at := time.UnixMilli(e.at); e.spooled && m.Time.After(recent) && (out.sure.IsZero() || at.Before(out.sure)) {
			out.sure = at
		}
		// By its own time: events that were spooled or reconciled entered the stream later.
		if e.at >= first && e.at <= end {
			out.events = append(out.events, e)
		}
	})
	return out, err
}

// receipt is the receipt for a record that becomes an event now. A record without an id gets its id later.
func (r *Reconciler) receipt() translate.Receipt {
	return translate.Receipt{
		Cloud: r.cfg.Cloud, Source: r.cfg.Source, At: time.Now(), Origin: Origin, NewID: func() string { return "derived" },
	}
}
