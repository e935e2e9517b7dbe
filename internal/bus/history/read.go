package history

import (
	"context"
	"fmt"
	"time"
)

// Query says what to read of a stream.
type Query struct {
	Stream string
	// Subject is the filter, with wildcards, or "" for all.
	Subject string
	// First and Last bound the sequence, both included. A Last of 0 is the end.
	First, Last uint64
	// Most is how many messages are read at most, 0 for any number.
	Most uint64
	// Keep says which messages are wanted; nil for all. It is called by several goroutines.
	Keep func(Message) bool
}

// Read is what was read for a query.
type Read struct {
	Messages uint64
	// Cut says that Most ended it.
	Cut bool
	// Lowest is the sequence from which on everything was read, if it was read from the newest on.
	Lowest uint64
}

const (
	// batch is how many messages a request asks for, and maxBytes how much they may be. Writers of the stream wait meanwhile.
	batch, maxBytes = 500, 4 << 20
	// ahead is how many pages are asked for at once when a stream is read from its newest message on.
	ahead = 3
)

// Forward reads from the first message on, and hands over those to be kept until each returns false. The broker finds the messages of a
// subject without reading the others.
func (r Reader) Forward(ctx context.Context, q Query, each func(Message) bool) (Read, error) {
	var done Read
	more := true
	for next := max(q.First, 1); more; {
		got := 0
		what := request{Sequence: next, Subject: q.Subject, Batch: batch, MaxBytes: maxBytes}
		if q.Subject == "" && q.Last >= next {
			what.Batch = int(min(batch, q.Last-next+1)) // more would be sent for nothing
		}
		pending, err := r.ask(ctx, q.Stream, what, func(m Message) bool {
			if q.Last > 0 && m.Sequence > q.Last {
				more = false
				return false
			}
			if q.Most > 0 && done.Messages == q.Most {
				done.Cut, more = true, false
				return false
			}
			got++
			done.Messages++
			next = m.Sequence + 1
			if (q.Keep == nil || q.Keep(m)) && !each(m) {
				more = false
			}
			return more
		})
		if err != nil {
			return done, fmt.Errorf("read stream %s: %w", q.Stream, err)
		}
		more = more && got > 0 && pending > 0 && (q.Last == 0 || next <= q.Last)
	}
	return done, nil
}

// Backward reads all messages between First and Last, page by page from the newest on, and hands over those to be kept until each
// returns false; within a page the oldest comes first. It is for streams that have most of their sequences.
func (r Reader) Backward(ctx context.Context, q Query, each func(Message) bool) (Read, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pages := make(chan chan page, ahead)
	go func() {
		defer close(pages)
		first := max(q.First, 1)
		for end := q.Last; end >= first; end -= batch {
			begin := first
			if end-first >= batch {
				begin = end - batch + 1
			}
			answer := make(chan page, 1)
			select {
			case pages <- answer:
			case <-ctx.Done():
				return
			}
			go func() { answer <- r.page(ctx, q, begin, end) }()
			if begin == first {
				return
			}
		}
	}()
	done := Read{Lowest: q.Last + 1}
	for answer := range pages {
		p := <-answer
		if p.err != nil {
			return done, p.err
		}
		done.Messages, done.Lowest = done.Messages+p.read, p.first
		for _, m := range p.kept {
			if !each(m) {
				return done, nil
			}
		}
		if q.Most > 0 && done.Messages >= q.Most && p.first > q.First {
			done.Cut = true
			return done, nil
		}
	}
	return done, ctx.Err()
}

// page is what a range of sequences has.
type page struct {
	first uint64
	read  uint64
	kept  []Message
	err   error
}

func (r Reader) page(ctx context.Context, q Query, first, last uint64) page {
	p := page{first: first}
	q.First, q.Last, q.Most = first, last, 0
	var done Read
	done, p.err = r.Forward(ctx, q, func(m Message) bool {
		p.kept = append(p.kept, m)
		return true
	})
	p.read = done.Messages
	return p
}

// Since is the sequence of the first message that a stream took at a time or later, of any subject; 0 if there is none.
func (r Reader) Since(ctx context.Context, stream string, at time.Time) (sequence uint64, err error) {
	_, err = r.ask(ctx, stream, request{Since: &at, Subject: ">"}, func(m Message) bool {
		sequence = m.Sequence
		return false
	})
	if err != nil {
		return 0, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return sequence, nil
}

// Latest is the last message of a subject, which has no wildcards. It is not there if the stream has none.
func (r Reader) Latest(ctx context.Context, stream, subject string) (m Message, there bool, err error) {
	_, err = r.ask(ctx, stream, request{LastOf: subject}, func(got Message) bool {
		m, there = got, true
		return false
	})
	if err != nil {
		return m, false, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return m, there, nil
}
