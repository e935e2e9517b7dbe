package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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

// made are the objects that the commands of a cloud have made, and the commands that are not finished, as far as their records were
// read. Several look for objects at once after a takeover, when it is urgent: together they read each record once.
type made struct {
	lock    chan struct{} // has a place for the one that reads
	created time.Time     // of the stream: one that was made again is read from its beginning
	since   time.Time     // the time from which on the records were read, zero for none
	next    uint64        // the first one that was not read
	ids     map[string]time.Time
	open    map[string]unfinished // by their keys
}

// Made returns the ids of the objects that commands of a cloud have made, by the records that were written since a time of
// the broker's clock. Who looks for an object of his own leaves these out: so no command pays for a claim but one that
// was left without an answer.
func (l *Ledger) Made(ctx context.Context, cloud string, since time.Time) (map[string]bool, error) {
	all := map[string]bool{}
	if err := l.readMade(ctx, cloud, since, func(m *made) {
		for id, at := range m.ids {
			if !at.Before(since) {
				all[id] = true
			}
		}
	}); err != nil {
		return nil, err
	}
	switch old, err := l.oldLedger(ctx); {
	case err != nil:
		return nil, err
	case old != nil:
		err := recordsIn(ctx, l.conn.JetStream(), old.Name, cloud, journal.Since(since), func(_ string, r Record, _ journal.Message) {
			for _, id := range r.Made {
				all[id] = true
			}
		})
		if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, err
		}
	}
	return all, nil
}

// readMade reads what is new in the records of a cloud, and has use look at all of it.
func (l *Ledger) readMade(ctx context.Context, cloud string, since time.Time, use func(*made)) error {
	if err := l.conn.AwaitUp(ctx); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return l.madeOf(cloud).read(ctx, l.conn.JetStream(), topology.LedgerBucket(l.conn.Settings().Prefix, cloud), cloud, since, use)
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

// read reads what is new since a time or before, and has use look at all of it.
func (m *made) read(ctx context.Context, js jetstream.JetStream, bucket, cloud string, since time.Time, use func(*made)) error {
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
		m.ids, m.open = map[string]time.Time{}, map[string]unfinished{}
		m.created, m.next, m.since = info.Created, 0, time.Time{}
		from = journal.Since(since.Add(-madeBefore))
	}
	err = recordsIn(ctx, js, bucket, cloud, from, m.keep)
	if err != nil {
		m.since = time.Time{}
		return err
	}
	// What was written since the look at the stream is read again the next time.
	if m.next = info.State.LastSeq + 1; m.since.IsZero() {
		m.since = since.Add(-madeBefore)
	}
	use(m)
	return nil
}

// keep keeps what a record says.
func (m *made) keep(key string, r Record, msg journal.Message) {
	for _, id := range r.Made {
		m.ids[id] = msg.Time
	}
	if delete(m.open, key); r.Result == nil && !r.Open && !r.CalledAt.IsZero() {
		r.revision = msg.Sequence
		m.open[key] = unfinished{r, msg.Time}
	}
}

// recordsIn hands over the records of one bucket with their keys, an empty one for each that was deleted. What it leaves out would be taken
// for nobody's.
func recordsIn(
	ctx context.Context, js jetstream.JetStream, bucket, cloud string, from journal.From, take func(key string, r Record, msg journal.Message),
) error {
	keys := "$KV." + bucket + "."
	records := keys + cloud + ".*" // the claims have more tokens
	for m, err := range journal.New(js).Read(ctx, "KV_"+bucket, from, journal.Present(), records) {
		if err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		var r Record
		if len(m.Data) > 0 && json.Unmarshal(m.Data, &r) != nil {
			continue // not one of ours
		}
		take(strings.TrimPrefix(m.Subject, keys), r, m)
	}
	return nil
}
