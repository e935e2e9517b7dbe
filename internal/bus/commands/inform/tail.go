package inform

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/index"
)

// tail are the commands that are in the stream and not in the index, since it is full. The bridge reads them there one after the other.
type tail struct {
	queue Queue
	from  uint64 // where they begin
	// walked and unknown are how many messages were read, and how many of them the index does not have.
	walked, unknown float64

	// Only who walks changes these, under the lock.
	mu    sync.Mutex
	next  uint64 // the place up to which senders have heard
	marks []mark
}

// mark is what the first sender of a part of the tail has heard. The others of it have heard about the same.
type mark struct {
	seq    uint64
	notice index.Notice
}

// part is how many commands have one mark.
const part = 256

func (t *tail) set(next uint64, marks []mark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next, t.marks = next, marks
}

// at is the mark of a place, -1 if there is none.
func (t *tail) at(seq uint64) int {
	return sort.Search(len(t.marks), func(i int) bool { return t.marks[i].seq > seq }) - 1
}

// heard is about what the sender of a command has heard.
func (t *tail) heard(seq uint64) index.Notice {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.at(seq)
	if i < 0 || seq >= t.next {
		return index.Notice{}
	}
	m := t.marks[i]
	if i+1 < len(t.marks) {
		next := t.marks[i+1]
		later := next.notice.RetryAt.Sub(m.notice.RetryAt)
		m.notice.RetryAt = m.notice.RetryAt.Add(later * time.Duration(seq-m.seq) / time.Duration(next.seq-m.seq)) //nolint:gosec // a part of them
	}
	return m.notice
}

// walk tells senders, at most so many.
func (t *tail) walk(ctx context.Context, most int) error {
	from, full := t.queue.Index.Beyond()
	if !full {
		if from >= t.next { // else some of those who have heard are still to come into the index
			t.walked, t.unknown = 0, 0
			t.set(0, nil)
		}
		return nil
	}
	t.from = from
	t.set(max(t.next, from), t.marks)
	if i := t.at(from); i > 0 { // what is before it is in the index, or done
		t.set(t.next, slices.Clone(t.marks[i:]))
	}
	for n := 0; n < most && slow(ctx); n++ {
		m, err := t.queue.Read(ctx, t.next, ">")
		if isGone(err) {
			return t.again(ctx, most-n)
		}
		if err != nil {
			return fmt.Errorf("a command from %d on: %w", t.next, err)
		}
		if time.Since(m.Time) < index.ReportAfter {
			return nil // and so are those behind it
		}
		if err := t.tell(ctx, m); err != nil {
			return err
		}
		t.set(m.Sequence+1, t.marks)
	}
	return nil
}

// tell tells the sender of a command of the tail.
func (t *tail) tell(ctx context.Context, m *jetstream.RawStreamMsg) error {
	t.walked++
	wait, in := t.wait(m)
	if !in {
		return nil
	}
	t.unknown++
	if len(t.marks) == 0 || m.Sequence-t.marks[len(t.marks)-1].seq >= part {
		first := mark{seq: m.Sequence}
		first.notice.Reported(wait.Until)
		t.set(t.next, append(t.marks, first))
	}
	if err := t.queue.Tell(ctx, m, wait); err != nil {
		return fmt.Errorf("command %d: %w", m.Sequence, err)
	}
	return nil
}

// wait is how long a command is likely to wait; in is false if the index has it.
func (t *tail) wait(m *jetstream.RawStreamMsg) (wait index.Wait, in bool) {
	e := t.queue.Entry(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}, m.Sequence)
	behind := float64(m.Sequence-t.from) * (t.unknown + 1) / (t.walked + 1) // so many of the tail are likely to be before it
	return t.queue.Index.Behind(e, int(behind), t.queue.Forecast, t.queue.Load())
}

// again looks for parts of the tail whose estimates have changed much, and tells their senders.
func (t *tail) again(ctx context.Context, most int) error {
	for i := range t.marks {
		at := &t.marks[i]
		if most <= 0 {
			return nil
		}
		m, err := t.queue.Read(ctx, max(at.seq, t.from), ">")
		if isGone(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("a command from %d on: %w", at.seq, err)
		}
		wait, in := t.wait(m)
		if !in || m.Sequence > at.seq && m.Sequence >= at.seq+part {
			continue
		}
		t.mu.Lock()
		due := at.notice.Due(time.Now(), wait.Until)
		t.mu.Unlock()
		if !due {
			continue
		}
		end := t.next
		if i+1 < len(t.marks) {
			end = t.marks[i+1].seq
		}
		for seq := at.seq; seq < end && most > 0 && slow(ctx); most-- {
			m, err := t.queue.Read(ctx, seq, ">")
			if isGone(err) || err == nil && m.Sequence >= end {
				break
			}
			if err != nil {
				return fmt.Errorf("a command from %d on: %w", seq, err)
			}
			if wait, in := t.wait(m); in {
				if err := t.queue.Tell(ctx, m, wait); err != nil {
					return fmt.Errorf("command %d: %w", m.Sequence, err)
				}
			}
			seq = m.Sequence + 1
		}
		t.mu.Lock()
		at.notice.Reported(wait.Until)
		t.mu.Unlock()
	}
	return nil
}
