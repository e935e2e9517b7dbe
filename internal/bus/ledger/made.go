package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

const (
	// mostMade is how many objects are kept at most. With more, all records are read each time.
	mostMade = 100_000
	// madeBefore is how much earlier than asked for the records are read, since the next one who asks may have begun earlier.
	madeBefore = time.Hour
)

// made are the objects that the commands of a cloud have made, as far as their records were read. Several look for objects at once
// after a takeover, when it is urgent: together they read each record once.
type made struct {
	lock    chan struct{} // has a place for the one that reads
	created time.Time     // of the stream: one that was made again is read from its beginning
	since   time.Time     // the time from which on the records were read, zero for none
	next    uint64        // the first one that was not read
	ids     map[string]time.Time
}

// Made returns the ids of the objects that commands of a cloud have made, by the records that were written since a time of
// the broker's clock. Who looks for an object of his own leaves these out: so no command pays for a claim but one that
// was left without an answer.
func (l *Ledger) Made(ctx context.Context, cloud string, since time.Time) (map[string]bool, error) {
	if err := l.conn.AwaitUp(ctx); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	all := map[string]bool{}
	if err := l.madeOf(cloud).read(ctx, l.conn.JetStream(), topology.LedgerBucket(l.conn.Settings().Prefix, cloud), cloud, since, all); err != nil {
		return nil, err
	}
	switch old, err := l.oldLedger(ctx); {
	case err != nil:
		return nil, err
	case old != nil:
		err := madeIn(ctx, l.conn.JetStream(), old.Name, cloud, journal.Since(since), func(id string, _ journal.Message) { all[id] = true })
		if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, err
		}
	}
	return all, nil
}

// madeOf is what is kept of a cloud.
func (l *Ledger) madeOf(cloud string) *made {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.made[cloud]
	if m == nil {
		m = &made{lock: make(chan struct{}, 1)}
		l.made[cloud] = m
	}
	return m
}

// read reads what is new, and adds what was made since a time.
func (m *made) read(ctx context.Context, js jetstream.JetStream, bucket, cloud string, since time.Time, all map[string]bool) error {
	select {
	case m.lock <- struct{}{}:
		defer func() { <-m.lock }()
	case <-ctx.Done():
		return fmt.Errorf("ledger: %w", ctx.Err())
	}
	stream, err := js.Stream(ctx, "KV_"+bucket)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	info := stream.CachedInfo()
	from := journal.At(m.next)
	if m.since.IsZero() || since.Before(m.since) || len(m.ids) > mostMade || !info.Created.Equal(m.created) || info.State.LastSeq+1 < m.next {
		m.ids, m.created, m.next, m.since = map[string]time.Time{}, info.Created, 0, time.Time{}
		from = journal.Since(since.Add(-madeBefore))
	}
	err = madeIn(ctx, js, bucket, cloud, from, func(id string, msg journal.Message) {
		m.ids[id] = msg.Time
	})
	if err != nil {
		m.since = time.Time{}
		return err
	}
	// What was written since the look at the stream is read again the next time.
	if m.next = info.State.LastSeq + 1; m.since.IsZero() {
		m.since = since.Add(-madeBefore)
	}
	for id, at := range m.ids {
		if !at.Before(since) {
			all[id] = true
		}
	}
	return nil
}

// madeIn hands over what the records of one bucket say. What it leaves out would be taken for nobody's.
func madeIn(ctx context.Context, js jetstream.JetStream, bucket, cloud string, from journal.From, take func(id string, msg journal.Message)) error {
	records := "$KV." + bucket + "." + cloud + ".*" // the claims have more tokens
	for m, err := range journal.New(js).Read(ctx, "KV_"+bucket, from, journal.Present(), records) {
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		var r Record
		if json.Unmarshal(m.Data, &r) != nil {
			continue // not one of ours
		}
		for _, id := range r.Made {
			take(id, m)
		}
	}
	return nil
}
