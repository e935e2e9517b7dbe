package ensure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// createTimeout is how long the broker may take to make a stream: in a cluster it elects a leader first.
const createTimeout = 5 * time.Second

// room shares out the room that NATS has among what is to be made.
type room struct {
	conn *bus.Conn
	cfg  bus.Config
	log  *slog.Logger

	mu     sync.Mutex
	shares float64 // what of their sizes streams that are made may have; 0 for all
	probe  *probe  // that of this bridge, while it shares out the room
	probed string  // the subject of the last one that it asked for
	swept  bool    // no probe was left, on this connection

	measuring sync.RWMutex // held for writing while the probe has the room

	probeHeld, probeStale time.Duration // the constants of these names
}

// create has a stream or bucket made with the size that it should have, or with its share of what room there is, and with a
// quarter of that again and again as long as there is no room. While another bridge shares out the room, or this one measures
// it, it waits. made says whether this call made it, and not somebody else.
func (r *room) create(ctx context.Context, what string, s topology.Kind, do func(context.Context, int64) error) (made bool, _ error) {
	r.measuring.RLock()
	defer r.measuring.RUnlock()
	r.awaitProbe(ctx)
	wanted, least := s.Size(r.cfg.MaxBytes), s.Least()
	share := r.share(wanted, least)
	for bytes := share; ; {
		attempt, cancel := context.WithTimeout(ctx, createTimeout)
		err := do(attempt, bytes)
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse), errors.Is(err, jetstream.ErrBucketExists):
			return false, nil
		case err == nil && bytes < share: // else the share was logged, for all of them at once
			r.log.WarnContext(ctx, "NATS has less room than it had a moment ago, so this is smaller than it should be; it may forget before its time, or refuse what is new earlier",
				"made", what, "bytes", bytes, "wanted", wanted, "setting", s.Setting())
			return true, nil
		case err == nil:
			return true, nil
		case natserr.Of(err) != natserr.NoRoom, topology.OutOfStreams(err):
			return false, topology.WithSetting(err, s)
		case bytes == least && s.Setting() == "":
			return false, fmt.Errorf("%s: NATS has no room for %d bytes: %w", what, least, topology.WithSetting(err, s))
		case bytes == least:
			return false, fmt.Errorf("%s: NATS has no room for %d bytes, the least that it needs; give NATS more room (max_file_store, or the account's limit), "+
				"or make %s and its like smaller: %w", what, least, s.Setting(), topology.WithSetting(err, s))
		}
		bytes = max(bytes/4, least)
	}
}

// share is how much of a size is available: all of it unless there was too little room.
func (r *room) share(wanted, least int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shares == 0 {
		return wanted
	}
	return max(int64(float64(wanted)*r.shares), least)
}
