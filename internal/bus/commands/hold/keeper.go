package hold

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/bucket"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// lookEvery is how often it is looked whether the dead letter of a held lane is still there.
const lookEvery = time.Second

// Lanes are the lanes that can be held.
type Lanes interface {
	// Hold keeps a lane from being carried out until Release.
	Hold(key string)
	Release(key string)
	// Caught says whether everything up to a place in the stream is known.
	Caught(sequence uint64) bool
}

// Keeper holds the lanes of a cloud and has them go on.
type Keeper struct {
	conn  bucket.Conn
	cloud string
	log   *slog.Logger
	store *Holds
	// on is whether dead letters hold lanes at all.
	on bool

	mu    sync.Mutex
	lanes Lanes
	all   map[string]*Hold  // by the position of the command
	ended map[string]uint64 // the end of the stream when the dead letter was found to be gone
}

// New returns the keeper of a cloud. It asks nobody.
func New(conn bucket.Conn, cloud string, on bool, log *slog.Logger) *Keeper {
	return &Keeper{
		conn: conn, cloud: cloud, on: on, log: log, store: Of(conn, cloud, log), all: map[string]*Hold{}, ended: map[string]uint64{},
	}
}

// Load holds the lanes that bridges before this one have left held. Without on_dead: hold they go on.
func (k *Keeper) Load(ctx context.Context, lanes Lanes) error {
	all, err := k.store.All(ctx)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lanes = lanes
	clear(k.all)
	clear(k.ended)
	for _, one := range all {
		if !k.on {
			if err := k.store.Release(ctx, one); err != nil {
				return err
			}
			continue
		}
		k.all[one.Position] = &one
		lanes.Hold(one.Lane)
	}
	return nil
}

// Hold stops the lane of a command that is a dead letter now. It is called before the command is taken out of its stream.
func (k *Keeper) Hold(ctx context.Context, lane, position, subject string) error {
	if !k.on || lane == "" {
		return nil
	}
	one, err := k.store.Put(ctx, Hold{Lane: lane, Position: position, Subject: subject})
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all[position] = &one
	k.lanes.Hold(one.Lane)
	k.log.WarnContext(ctx, "a dead letter holds up the commands about the same thing, until it is sent again or dropped",
		"cloud", k.cloud, "position", position, "letter", one.Letter)
	return nil
}

// IsRedrive says whether a command was sent again from a dead letter that holds a lane. It goes before those that are held.
func (k *Keeper) IsRedrive(msg *nats.Msg) bool {
	n := redriven(delivery.Header(msg.Header).Get(events.HeaderRedrive))
	if n == 0 {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.all {
		if one.Letter == n {
			return true
		}
	}
	return false
}

// Run has the lanes go on whose dead letters are gone, until ctx ends. A lane waits for one more look, so that a command that was
// sent again is there before those behind it.
func (k *Keeper) Run(ctx context.Context) {
	failed := map[string]bool{}
	for delivery.Pause(ctx, lookEvery) {
		k.mu.Lock()
		all := make([]*Hold, 0, len(k.all))
		for _, one := range k.all {
			all = append(all, one)
		}
		k.mu.Unlock()
		for _, one := range all {
			err := k.look(ctx, one)
			if err != nil && ctx.Err() == nil && !failed[one.Position] {
				k.log.WarnContext(ctx, "it cannot be seen whether a held lane may go on; trying again", "cloud", k.cloud, "position", one.Position, "error", err)
			}
			failed[one.Position] = err != nil
		}
	}
}

// look releases the lane of a hold if its dead letter is gone.
func (k *Keeper) look(ctx context.Context, one *Hold) error {
	last, known := k.ended[one.Position]
	if !known {
		ended, err := k.store.Ended(ctx, one)
		if err != nil || !ended {
			return err
		}
		s, err := k.conn.JetStream().Stream(ctx, k.conn.Settings().Prefix.CommandStream(k.cloud))
		if err != nil {
			return err
		}
		k.ended[one.Position] = s.CachedInfo().State.LastSeq
		return nil
	}
	if !k.lanes.Caught(last) {
		return nil // what was sent again may not be here yet
	}
	if err := k.store.Release(ctx, *one); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.ended, one.Position)
	delete(k.all, one.Position)
	for _, other := range k.all {
		if other.Lane == one.Lane {
			return nil
		}
	}
	k.lanes.Release(one.Lane)
	return nil
}
