package advisory

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

const (
	// recentMost bounds how many positions are kept.
	recentMost = 10_000
	// recentBefore is how long before an advisory its dead letter may have been stored.
	recentBefore = time.Minute
	// recentBatch is how many dead letters one request asks for.
	recentBatch = 256
)

// recentLetters knows the positions of the dead letters that were stored of late. Advisories come in the order of the dead
// letters, so each of these is read once, and not once for each advisory.
type recentLetters struct {
	js             jetstream.JetStream
	stream, filter string

	next  uint64 // the sequence to go on at, or 0: at the advisory's time
	known map[string]bool
	order []string // oldest first
}

// rewind forgets everything, so that the next search begins again at the advisory's time.
func (l *recentLetters) rewind() { l.next, l.known, l.order = 0, nil, nil }

// has says whether the dead letter about the advisory's command is there.
func (l *recentLetters) has(ctx context.Context, a advisory) (bool, error) {
	if l.known[a.position()] {
		return true, nil
	}
	if err := l.read(ctx, a.Time.Add(-recentBefore)); err != nil {
		l.rewind()
		return false, fmt.Errorf("look for the dead letter about %s: %w", a.position(), err)
	}
	return l.known[a.position()], nil
}

// read reads the headers of the dead letters that came since.
func (l *recentLetters) read(ctx context.Context, from time.Time) error {
	cfg := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true, FilterSubject: l.filter,
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from, InactiveThreshold: ackWait, MemoryStorage: true,
	}
	if l.next > 0 {
		cfg.DeliverPolicy, cfg.OptStartTime, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, nil, l.next
	}
	c, err := l.js.CreateConsumer(ctx, l.stream, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = l.js.DeleteConsumer(ctx, l.stream, c.CachedInfo().Name) }() // else the broker does, in a while
	for left := c.CachedInfo().NumPending; left > 0; {
		batch, err := c.Fetch(int(min(left, recentBatch)), jetstream.FetchMaxWait(bus.AttemptTimeout))
		if err != nil {
			return err
		}
		got := uint64(0)
		for msg := range batch.Messages() {
			got++
			if meta, err := msg.Metadata(); err == nil {
				l.next = meta.Sequence.Stream + 1
			}
			l.add(deadletter.Position(delivery.Header(msg.Headers())))
		}
		if got == 0 {
			return batch.Error()
		}
		left -= min(got, left)
	}
	return nil
}

// add keeps the position of a dead letter.
func (l *recentLetters) add(position string) {
	if position == "" || l.known[position] {
		return
	}
	if l.known == nil {
		l.known = map[string]bool{}
	}
	if len(l.order) >= recentMost {
		delete(l.known, l.order[0])
		l.order = l.order[1:]
	}
	l.known[position] = true
	l.order = append(l.order, position)
}
