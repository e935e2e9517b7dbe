package commands

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/hold"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// holdEvery is how often it is looked whether the dead letter of a held lane is still there.
const holdEvery = time.Second

// held are the lanes of a cloud that a dead letter stops.
type held struct {
	store *hold.Holds
	mu    sync.Mutex
	all   map[string]*hold.Hold // by the position of the command
}

// holdLane stops the lane of a command that is a dead letter now, if the cloud wants that. It is called before the command is taken
// out of its stream.
func (q *cloudQueue) holdLane(ctx context.Context, d delivered, subject string) error {
	if !q.options.HoldOnDead || d.item.Lane == "" {
		return nil
	}
	one, err := q.held.store.Put(ctx, hold.Hold{Lane: d.item.Lane, Position: d.position, Subject: subject})
	if err != nil {
		return err
	}
	q.held.mu.Lock()
	q.held.all[d.position] = &one
	q.held.mu.Unlock()
	q.index.Hold(one.Lane)
	q.log.WarnContext(ctx, "a dead letter holds up the commands about the same thing, until it is sent again or dropped",
		"cloud", q.cloud, "position", d.position, "letter", one.Letter)
	return nil
}

// loadHolds holds the lanes that bridges before this one have left held. Without on_dead: hold they go on.
func (q *cloudQueue) loadHolds(ctx context.Context) error {
	all, err := q.held.store.All(ctx)
	if err != nil {
		return err
	}
	q.held.mu.Lock()
	defer q.held.mu.Unlock()
	q.held.all = map[string]*hold.Hold{}
	for _, one := range all {
		if !q.options.HoldOnDead {
			if err := q.held.store.Release(ctx, one); err != nil {
				return err
			}
			continue
		}
		q.held.all[one.Position] = &one
		q.index.Hold(one.Lane)
	}
	return nil
}

// isRedrive says whether a command was sent again from the dead letter that holds its lane. It goes before those that are held.
func (q *cloudQueue) isRedrive(msg *nats.Msg) bool {
	n := hold.Redriven(delivery.Header(msg.Header).Get(events.HeaderRedrive))
	if n == 0 {
		return false
	}
	q.held.mu.Lock()
	defer q.held.mu.Unlock()
	for _, one := range q.held.all {
		if one.Letter == n {
			return true
		}
	}
	return false
}

// releaseLanes has the lanes go on whose dead letters are gone, until ctx ends. A lane waits for one more look, so that a command
// that was sent again is there before those behind it.
func (q *cloudQueue) releaseLanes(ctx context.Context) {
	gone := map[string]uint64{} // the end of the stream when the dead letter was found to be gone
	for delivery.Pause(ctx, holdEvery) {
		q.held.mu.Lock()
		all := make([]*hold.Hold, 0, len(q.held.all))
		for _, one := range q.held.all {
			all = append(all, one)
		}
		q.held.mu.Unlock()
		for _, one := range all {
			err := q.look(ctx, one, gone)
			if err != nil && ctx.Err() == nil && q.conn.News("hold "+one.Position, err.Error()) {
				q.log.WarnContext(ctx, "it cannot be seen whether a held lane may go on; trying again", "cloud", q.cloud, "position", one.Position, "error", err)
			}
		}
	}
}

// look releases the lane of a hold if its dead letter is gone.
func (q *cloudQueue) look(ctx context.Context, one *hold.Hold, gone map[string]uint64) error {
	last, known := gone[one.Position]
	if !known {
		ended, err := q.held.store.Ended(ctx, one)
		if err != nil || !ended {
			return err
		}
		s, err := q.conn.JetStream().Stream(ctx, q.stream)
		if err != nil {
			return err
		}
		gone[one.Position] = s.CachedInfo().State.LastSeq
		return nil
	}
	if q.index.Highest() < last && q.index.Size() > 0 {
		return nil // what was sent again may not be here yet
	}
	if err := q.held.store.Release(ctx, *one); err != nil {
		return err
	}
	delete(gone, one.Position)
	q.held.mu.Lock()
	defer q.held.mu.Unlock()
	delete(q.held.all, one.Position)
	for _, other := range q.held.all {
		if other.Lane == one.Lane {
			return nil
		}
	}
	q.index.Release(one.Lane)
	return nil
}
