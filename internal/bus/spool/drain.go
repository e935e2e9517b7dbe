package spool

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/spool/disk"
)

const (
	// roundSize bounds how many messages are on their way to the broker at once, roundBytes what they hold of memory.
	roundSize, roundBytes = 64, 8 << 20
	// roundTimeout bounds how long a round goes on, also while the bridge stops.
	roundTimeout = 5 * time.Second
)

var errNothingTakes = errors.New("neither the stream nor the object store takes what is waiting")

// drain is what was read of a queue and is not removed yet.
type drain struct {
	held     []*spooled // in order
	read     uint64     // the sequence of the last one
	openings int        // of the disk, when they were read
	searched searches
}

// spooled is a message of the spool.
type spooled struct {
	seq     uint64
	at      time.Time
	msg     *nats.Msg // as it goes to the broker
	id      string
	event   bool      // an event, and not a dead letter
	entity  string    // see entityOf
	suspect bool      // the broker may have it
	refused time.Time // since when the broker refuses it for a reason that nobody knows
	lookups int       // searches for it that failed
	done    bool      // the broker has it, or has it as a dead letter, or it is at the end of the spool again
	moved   bool      // it is at the end of the spool again
	dead    bool
}

// round hands over the first messages of a queue, side by side as long as they are of different entities, and removes from
// the spool what the broker has. It returns how many it removed.
func (s *Spool) round(ctx context.Context, q *cloudQueue) (removed int, err error) {
	if err := s.fill(ctx, q); err != nil {
		return 0, err
	}
	batch := q.drain.batch(s.limiter.Burst())
	if err := s.limiter.WaitN(ctx, len(batch)); err != nil {
		return 0, err
	}
	// What was begun is finished, also when the bridge stops: else it would have to be looked for later.
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), roundTimeout)
	defer cancel()
	errs := make([]error, len(batch))
	var group sync.WaitGroup
	for i, m := range batch {
		group.Go(func() {
			if errs[i] = s.search(work, q, m); errs[i] == nil && !m.done {
				errs[i] = s.deliver(work, q, m)
			}
		})
	}
	group.Wait()
	circling := !slices.ContainsFunc(batch, func(m *spooled) bool { return m.done && !m.moved })
	if removed, err = s.settle(work, q, batch); err == nil && removed > 0 && circling {
		err = errNothingTakes // all there is goes round and round, so it is to do so slowly
	}
	return removed, cmp.Or(cmp.Or(errs...), err) // one of many equal ones is enough
}

// fill reads on until there is enough for a round.
func (s *Spool) fill(ctx context.Context, q *cloudQueue) error {
	if err := s.disk.Enter(ctx); err != nil {
		return err
	}
	defer s.disk.Leave()
	d := &q.drain
	if d.openings != s.openings {
		d.held, d.read, d.openings = nil, 0, s.openings
	}
	size := 0
	for _, m := range d.held {
		size += len(m.msg.Data)
	}
	for len(d.held) < roundSize && size < roundBytes {
		raw, err := s.disk.Next(ctx, disk.Subject(q.cloud), d.read)
		if raw == nil || err != nil {
			return err
		}
		d.read = raw.Sequence
		size += len(raw.Data)
		d.held = append(d.held, unpack(raw, s.old))
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
		case m.done, m.entity != "" && taken[m.entity]:
			continue
		}
		taken[m.entity] = true
		out = append(out, m)
	}
	return out
}

// settle counts what the broker has, and removes it from the spool as far as nothing before it is left.
func (s *Spool) settle(ctx context.Context, q *cloudQueue, batch []*spooled) (int, error) {
	if err := s.disk.Enter(ctx); err != nil {
		return 0, err // none of it is counted; it is read again, and then looked for
	}
	defer s.disk.Leave()
	d := &q.drain
	if d.openings != s.openings {
		return 0, nil // it is read again, and then looked for
	}
	for _, m := range batch {
		if m.done {
			s.count(ctx, q, m)
		}
	}
	n := 0
	for n < len(d.held) && d.held[n].done {
		n++
	}
	if n == 0 {
		return 0, nil
	}
	if err := s.disk.Remove(ctx, disk.Subject(q.cloud), d.held[n-1].seq); err != nil {
		return 0, err
	}
	d.held = d.held[n:]
	s.account.settled.Add(-int64(n))
	s.throughput.add(n, time.Now())
	q.add(-int64(n))
	return n, nil
}

// count counts a message that is done.
func (s *Spool) count(ctx context.Context, q *cloudQueue, m *spooled) {
	a := &s.account
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
	s.metrics.drained.Add(ctx, 1, drainedOption(q.cloud, m.dead))
}
