package tail

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// source is a stream that is followed from a place on.
type source struct {
	cloud, stream string
	filters       []string
	from          journal.From
	optional      bool // it need not be there
}

// sources are the streams of each chosen kind and cloud.
func (f *tailFlags) sources(ctx context.Context, client *client.Client, names []string, since time.Time) (all []*source, _ error) {
	clouds, err := f.clouds(ctx, client, names)
	if err != nil {
		return nil, err
	}
	from := journal.Next()
	if !since.IsZero() {
		from = journal.Since(since)
	}
	for _, k := range kinds {
		if len(names) > 0 && !slices.Contains(names, k.name) {
			continue
		}
		for _, cloud := range clouds {
			all = append(all, &source{
				cloud: cloud, stream: k.stream(events.Prefix(f.Prefix), cloud), filters: f.subjects(f.Prefix, cloud, k), from: from,
				optional: k.name == changes && len(names) == 0, // there is only one with a mirror
			})
		}
	}
	return all, nil
}

// history hands over what the sources have already, in the order of its times, and has them go on behind it. What of a source cannot be
// read so comes when it is followed.
func history(ctx context.Context, client *client.Client, all []*source, each func(journal.Message)) {
	type reading struct {
		*source
		next func() (journal.Message, error, bool)
		stop func()
		head journal.Message
	}
	var open []*reading
	defer func() {
		for _, r := range open {
			r.stop()
		}
	}()
	advance := func(r *reading) bool {
		m, err, ok := r.next()
		r.head = m
		return ok && err == nil
	}
	for _, s := range all {
		next, stop := iter.Pull2(journal.New(client.JetStream()).Read(ctx, s.stream, s.from, journal.Present(), s.filters...))
		if r := (&reading{source: s, next: next, stop: stop}); advance(r) {
			open = append(open, r)
		} else {
			stop()
		}
	}
	for len(open) > 0 {
		first := slices.MinFunc(open, func(a, b *reading) int { return a.head.Time.Compare(b.head.Time) })
		each(first.head)
		first.from = journal.At(first.head.Sequence + 1)
		if !advance(first) {
			first.stop()
			open = slices.DeleteFunc(open, func(r *reading) bool { return r == first })
		}
	}
}

// follow hands over what the sources get, one message at a time.
func (f *tailFlags) follow(ctx context.Context, client *client.Client, all []*source, each func(journal.Message)) error {
	var handing sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range all {
		group.Go(func() error {
			err := journal.Tail(ctx, client.JetStream(), s.stream, s.filters, s.from, func(m journal.Message) {
				handing.Lock()
				defer handing.Unlock()
				each(m)
			})
			if s.optional && natserr.NoStream(err) {
				return nil
			}
			return f.ExplainNoStream(ctx, client, s.cloud, err)
		})
	}
	return group.Wait()
}
