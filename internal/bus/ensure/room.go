package ensure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// createTimeout is how long the broker may take to make a stream: in a cluster it elects a leader first.
const createTimeout = 5 * time.Second

// WithRoom has a stream or bucket made with the size that it should have, or with its share of what room there is, and with a
// quarter of that again and again as long as there is no room. While another bridge shares out the room, or this one measures
// it, it waits. made says whether this call made it, and not somebody else.
func (e *Ensurer) WithRoom(ctx context.Context, what string, s topology.Kind, create func(context.Context, int64) error) (made bool, _ error) {
	e.measuring.RLock()
	defer e.measuring.RUnlock()
	e.awaitProbe(ctx)
	wanted, least := s.Size(e.cfg.MaxBytes), s.Least()
	share := e.share(wanted, least)
	for bytes := share; ; {
		attempt, cancel := context.WithTimeout(ctx, createTimeout)
		err := create(attempt, bytes)
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse), errors.Is(err, jetstream.ErrBucketExists):
			return false, nil
		case err == nil && bytes < share: // else the share was told, for all of them at once
			e.log.WarnContext(ctx, "NATS has less room than it had a moment ago, so this is smaller than it should be; it may forget before its time, or refuse what is new earlier",
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

// share is what of a size may be had: all of it unless there was too little room.
func (e *Ensurer) share(wanted, least int64) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.shares == 0 {
		return wanted
	}
	return max(int64(float64(wanted)*e.shares), least)
}
