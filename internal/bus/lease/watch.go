package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/bucket"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
)

// Run announces this bridge, and decides which leases it takes and which it gives up, until ctx ends. Then it takes its announcement
// back, so that the others need not wait for its end.
func (f *Fleet) Run(ctx context.Context) error {
	r := run{Fleet: f, view: newView(), seenAt: time.Now()}
	look := time.NewTicker(max(f.ttl/12, time.Millisecond))
	defer look.Stop()
	for ctx.Err() == nil {
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			if skipped, due := f.failed.Due("look", time.Now()); due {
				f.log.WarnContext(ctx, "the other bridges cannot be seen; leases are not spread", "error", err, "not_logged", skipped)
			}
			if time.Since(r.seenAt) > f.ttl {
				f.blind()
			}
		}
		select {
		case <-ctx.Done():
		case <-look.C:
		case <-f.poke:
			r.announced = time.Time{}
		}
	}
	r.withdraw(ctx)
	return nil
}

// blind lets all that wait take what they can.
func (f *Fleet) blind() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.claims {
		select {
		case c.blind <- struct{}{}:
		default:
		}
	}
}

// run is one run of a fleet's loop.
type run struct {
	*Fleet
	kv        *bucket.Bucket
	view      *view
	seenAt    time.Time // when the bucket was last read
	announced time.Time // when this bridge was last announced
	revision  uint64    // of that announcement
}

// look announces, reads what others have written since the last time, and decides.
func (r *run) look(ctx context.Context) (err error) {
	if r.kv == nil {
		if r.kv, err = r.leases.open(ctx); err != nil {
			return err
		}
	}
	if time.Since(r.announced) >= r.ttl/3 {
		if err := r.announce(ctx); err != nil {
			r.kv = nil // it may have to be made again
			return err
		}
	}
	// Ages are reckoned up to now, and those of what is read below from after it was read: a process that stood still in between
	// takes nobody for dead.
	now := time.Now()
	if r.view.last, err = r.read(ctx, r.view.last); err != nil {
		return err
	}
	// This announcement is missing, or another one, if the bucket was made again: then its sequences begin at 1.
	if a, ok := r.view.members[r.me.ID]; !ok || a.revision != r.revision {
		r.view, r.announced = newView(), time.Time{}
		return nil
	}
	r.seenAt = now
	r.decide(now)
	r.clean(ctx, now)
	return nil
}

// read takes note of what was written after a sequence, and returns the last one. The leader is asked for one entry after the
// other: that needs no consumer, and no more rights than a lease.
func (r *run) read(ctx context.Context, after uint64) (uint64, error) {
	prefix := "$KV." + r.kv.Name + "."
	for {
		m, err := stored.On(r.conn).Get(ctx, "KV_"+r.kv.Name, after+1, prefix+">")
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return after, nil
		case err != nil:
			return after, err
		}
		after = m.Sequence
		r.view.put(strings.TrimPrefix(m.Subject, prefix), m, time.Now())
	}
}

// announce writes the entry of this bridge.
func (r *run) announce(ctx context.Context) error {
	me := r.me
	r.mu.Lock()
	me.Keys = slices.Sorted(maps.Keys(r.claims))
	r.mu.Unlock()
	text, err := json.Marshal(me)
	if err != nil {
		return err
	}
	attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	began := time.Now()
	revision, err := r.write(attempt, memberPrefix+me.ID, text)
	if err != nil {
		return err
	}
	r.revision, r.announced = revision, began
	return nil
}

// write writes an entry that nobody else writes, whatever its revision.
func (r *run) write(ctx context.Context, key string, text []byte) (uint64, error) {
	revision := r.revision
	for range 2 {
		var err error
		var now uint64
		if revision == 0 {
			now, err = r.kv.Create(ctx, key, text)
		} else {
			now, err = r.kv.Update(ctx, key, text, revision)
		}
		if err == nil {
			return now, nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) && !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			return 0, err
		}
		have, err := r.kv.Get(ctx, key)
		if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
			return 0, err
		}
		revision = have.Revision
	}
	return 0, fmt.Errorf("entry %s: somebody else writes it", key)
}

// grace is how many looks a bridge waits for another one to take a lease that is free, before it takes the lease itself.
const grace = 6

// decide takes leases that are free and this bridge's, and gives up those that another bridge should have.
func (r *run) decide(now time.Time) {
	wants, held := r.view.wants(now, r.ttl), r.view.held(now, r.ttl)
	r.mu.Lock()
	defer r.mu.Unlock()
	wants[r.me.ID] = slices.Sorted(maps.Keys(r.claims)) // what is known here, and not yet there
	for key, c := range r.claims {
		if c.held != nil && !c.held.isLost() {
			held[key] = r.me.ID
		}
	}
	r.peers = len(wants)
	due := spread(wants, held)
	for key, c := range r.claims {
		mine := due[key] == r.me.ID
		if c.held != nil {
			other := due[key] != "" && !mine
			if other && c.leave { // twice, since what is seen while several bridges come or go may be half of it
				c.held.askToYield()
			}
			c.leave = other
			continue
		}
		if held[key] != "" {
			c.free = time.Time{}
			continue
		}
		if c.free.IsZero() {
			c.free = now
		}
		if mine || now.Sub(c.free) > grace*r.ttl/12 {
			select {
			case c.chance <- r.view.leases[key]:
			default:
			}
		}
	}
}

// clean removes the announcements of bridges that have been silent for long.
func (r *run) clean(ctx context.Context, now time.Time) {
	for id, a := range r.view.members {
		if now.Sub(a.since) > 10*r.ttl {
			attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
			_ = r.kv.Purge(attempt, memberPrefix+id, a.revision) // or another bridge did, or it is back
			cancel()
			delete(r.view.members, id)
		}
	}
}

// withdraw removes the announcement of this bridge. If that fails, the others wait until it has been silent for long enough.
func (r *run) withdraw(ctx context.Context) {
	if r.kv == nil {
		return
	}
	attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), bus.AttemptTimeout)
	defer cancel()
	key := memberPrefix + r.me.ID
	have, err := r.kv.Get(attempt, key) // the last write may have been taken without our knowing
	if err == nil {
		err = r.kv.Purge(attempt, key, have.Revision)
	}
	if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		r.log.DebugContext(ctx, "the announcement of this bridge cannot be removed", "error", err)
	}
}
