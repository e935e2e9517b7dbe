package spool

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/spool/disk"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool/record"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/progress"
)

const (
	// roundSize bounds how many messages are on their way to the broker at once, roundBytes what they hold of memory.
	roundSize, roundBytes = 64, 8 << 20
	// roundTimeout bounds how long a round goes on, also while the bridge stops.
	roundTimeout = 5 * time.Second
)

var errNothingTakes = errors.New("neither the stream nor the object store takes what is waiting")

// drain hands over the messages of one cloud. Only one goroutine uses it.
type drain struct {
	spool *Spool
	queue *cloudQueue

	held     []*spooled // read and not removed yet, in order
	read     uint64     // the sequence of the last one
	openings int        // of the disk, when they were read
	searched searches
}

// spooled is a message of the spool, and how far it was handed over.
type spooled struct {
	record.Record

	refused time.Time // since when the broker refuses it for a reason that nobody knows
	lookups int       // searches for it that failed
	done    bool      // the broker has it, or has it as a dead letter, or it is at the end of the spool again
	moved   bool      // it is at the end of the spool again
	dead    bool
}

// run hands over the messages until ctx ends.
func (d *drain) run(ctx context.Context) {
	failures, handed := 0, 0
	begun := d.reportWaiting(ctx)
	var watch progress.Log
	for {
		for d.queue.empty() {
			if attrs, reported := watch.End(time.Now()); reported {
				d.spool.log.LogAttrs(ctx, slog.LevelInfo, "the spool is handed over", append(attrs, slog.String("cloud", d.queue.cloud))...)
			} else if begun && handed > 0 {
				d.spool.log.InfoContext(ctx, "the spool is handed over", "cloud", d.queue.cloud, "messages", handed)
			}
			handed = 0
			d.searched.forget()
			select {
			case <-d.queue.wake:
			case <-ctx.Done():
				return
			}
			begun = d.reportWaiting(ctx)
		}
		if d.spool.awaitHandOver(ctx, d.queue.cloud) != nil {
			return
		}
		n, err := d.round(ctx)
		again := 20 * time.Millisecond // one is being written
		switch {
		case err == nil && n > 0:
			if failures > 0 {
				d.spool.log.InfoContext(ctx, "the spool is handed over again", "cloud", d.queue.cloud)
			}
			failures = 0
			handed += n
			if attrs, due := watch.Left(d.queue.length(), time.Now()); due {
				d.spool.log.LogAttrs(ctx, slog.LevelInfo, "the spool is being handed over", append(attrs, slog.String("cloud", d.queue.cloud))...)
			}
			continue
		case err != nil:
			watch = progress.Log{}                             // how long the failure lasts says nothing of the time after it
			if failures++; failures == 1 && ctx.Err() == nil { // the same failure again and again is one line
				d.spool.log.WarnContext(ctx, "the spool cannot be handed over; trying again", "cloud", d.queue.cloud, "error", err)
			}
			again = delivery.Backoff(min(failures, 4))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}

// reportWaiting logs that webhooks of the cloud wait in the spool, if any do, at most once a minute. It returns whether it did.
func (d *drain) reportWaiting(ctx context.Context) bool {
	if d.queue.empty() {
		return false
	}
	_, due := d.spool.samples.Due("waiting "+d.queue.cloud, time.Now())
	if due {
		if d.spool.paused(d.queue.cloud) {
			d.spool.log.InfoContext(ctx, "webhooks wait in the spool until an operator resumes them", "cloud", d.queue.cloud)
		} else {
			d.spool.log.InfoContext(ctx, "webhooks wait in the spool until NATS takes them", "cloud", d.queue.cloud)
		}
	}
	return due
}

// round hands over the first messages of a queue, side by side as long as they are of different entities, and removes from
// the spool what the broker has. It returns how many it removed.
func (d *drain) round(ctx context.Context) (removed int, err error) {
	if err := d.fill(ctx); err != nil {
		return 0, err
	}
	batch := d.batch(d.spool.limiter.Burst())
	if err := d.spool.limiter.WaitN(ctx, len(batch)); err != nil {
		return 0, err
	}
	// What was begun is finished, also when the bridge stops: else it would have to be looked for later.
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), roundTimeout)
	defer cancel()
	errs := make([]error, len(batch))
	var group sync.WaitGroup
	for i, m := range batch {
		group.Go(func() {
			if errs[i] = d.search(work, m); errs[i] == nil && !m.done {
				errs[i] = d.deliver(work, m)
			}
		})
	}
	group.Wait()
	circling := !slices.ContainsFunc(batch, func(m *spooled) bool { return m.done && !m.moved })
	if removed, err = d.settle(work, batch); err == nil && removed > 0 && circling {
		err = errNothingTakes // everything only moves to the end again, so slow down
	}
	return removed, cmp.Or(cmp.Or(errs...), err) // one of many equal ones is enough
}

// fill reads on until there is enough for a round.
func (d *drain) fill(ctx context.Context) error {
	if err := d.spool.disk.Enter(ctx); err != nil {
		return err
	}
	defer d.spool.disk.Leave()
	if d.openings != d.spool.openings {
		d.held, d.read, d.openings = nil, 0, d.spool.openings
	}
	size := 0
	for _, m := range d.held {
		size += len(m.Msg.Data)
	}
	for len(d.held) < roundSize && size < roundBytes {
		raw, err := d.spool.disk.Next(ctx, disk.Subject(d.queue.cloud), d.read)
		if raw == nil || err != nil {
			return err
		}
		d.read = raw.Sequence
		size += len(raw.Data)
		d.held = append(d.held, &spooled{Record: record.Unpack(raw, d.spool.old)})
	}
	return nil
}

// batch are the first of each entity in what is held and not done, up to a number. What is left out is behind one of its own
// entity, so each entity keeps its order.
func (d *drain) batch(most int) []*spooled {
	var out []*spooled
	taken := map[string]bool{}
	for _, m := range d.held {
		switch {
		case len(out) == most:
			return out
		case m.done, m.Entity != "" && taken[m.Entity]:
			continue
		}
		taken[m.Entity] = true
		out = append(out, m)
	}
	return out
}

// settle counts what the broker has, and removes it from the spool as far as nothing before it is left.
func (d *drain) settle(ctx context.Context, batch []*spooled) (int, error) {
	if err := d.spool.disk.Enter(ctx); err != nil {
		return 0, err // none of it is counted; it is read again, and then looked for
	}
	defer d.spool.disk.Leave()
	if d.openings != d.spool.openings {
		return 0, nil // it is read again, and then looked for
	}
	for _, m := range batch {
		if m.done {
			d.count(ctx, m)
		}
	}
	n := 0
	for n < len(d.held) && d.held[n].done {
		n++
	}
	if n == 0 {
		return 0, nil
	}
	if err := d.spool.disk.Remove(ctx, disk.Subject(d.queue.cloud), d.held[n-1].Sequence); err != nil {
		return 0, err
	}
	d.held = d.held[n:]
	d.spool.account.settled.Add(-int64(n))
	d.spool.throughput.Add(n, time.Now())
	d.queue.add(-int64(n))
	return n, nil
}

// count counts a message that is done.
func (d *drain) count(ctx context.Context, m *spooled) {
	a := &d.spool.account
	a.settled.Add(1)
	switch {
	case m.moved:
		a.moved.Add(-1)
		return
	case m.dead:
		a.dead.Add(1)
	default:
		a.drained.Add(1)
	}
	d.spool.metrics.drained.Add(ctx, 1, drainedOption(d.queue.cloud, m.dead))
}
