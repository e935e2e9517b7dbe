package hold

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/bucket"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// lookEvery is how often it is looked whether the dead letter of a held lane is still there.
const lookEvery = time.Second

// Lanes are the lanes that can be held.
type Lanes interface {
	// Hold keeps a lane from being carried out until Release, except for what was sent again from a dead letter.
	Hold(key string, letter uint64)
	Release(key string)
	// Caught says whether everything up to a place in the stream is known, and nothing goes before the rest of a lane any more.
	Caught(key string, sequence uint64) bool
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
		lanes.Hold(one.Lane, one.Letter)
	}
	return nil
}

// Hold stops the lane of a command that is a dead letter now. It is called before the command is taken out of its stream. The dead letter
// may be gone already: somebody may have sent it again or dropped it since it was stored.
func (k *Keeper) Hold(ctx context.Context, one Hold) error {
	if !k.on || one.Lane == "" {
		return nil
	}
	one, err := k.store.Put(ctx, one)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all[one.Position] = &one
	k.lanes.Hold(one.Lane, one.Letter)
	k.log.WarnContext(ctx, "a dead letter holds up the commands about the same thing, until it is sent again or dropped",
		"cloud", k.cloud, "position", one.Position, "letter", one.Letter)
	return nil
}

// LetterOf is the dead letter that a command was sent again from, as it was or with other data; 0 for other commands.
func LetterOf(msg *nats.Msg) uint64 {
	header := delivery.Header(msg.Header)
	for _, name := range []string{events.HeaderRedrive, topology.HeaderReplaces} {
		if n, err := strconv.ParseUint(header.Get(name), 10, 64); err == nil {
			return n
		}
	}
	return 0
}

// Holds says whether a dead letter holds a lane. A command that was sent again from it goes before those that are held.
func (k *Keeper) Holds(lane string, letter uint64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.all {
		if letter > 0 && one.Letter == letter && one.Lane == lane {
			return true
		}
	}
	return false
}

// Run has the lanes go on whose dead letters are gone, until ctx ends. A lane waits until a command that was sent again is there, and is
// done: a bridge that takes over meanwhile has to put it before those behind it as well.
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
		seen := *one
		ended, err := k.store.Ended(ctx, &seen)
		k.mu.Lock()
		if *one = seen; seen.Letter > 0 {
			k.lanes.Hold(one.Lane, one.Letter) // it may have been found only now
		}
		k.mu.Unlock()
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
	if !k.lanes.Caught(one.Lane, last) {
		return nil
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
