package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// createTimeout is how long the broker may take to make a stream: in a cluster it elects a leader first.
const createTimeout = 5 * time.Second

// WithRoom has a stream or bucket made with the size that it should have, or with its share of what room there is, and with a
// quarter of that again and again as long as there is no room. While another bridge shares out the room, or this one measures
// it, it waits. made says whether this call made it, and not somebody else.
func (b *Conn) WithRoom(ctx context.Context, what string, s topology.Kind, create func(context.Context, int64) error) (made bool, _ error) {
	b.measuring.RLock()
	defer b.measuring.RUnlock()
	b.awaitProbe(ctx)
	wanted, least := s.Size(b.cfg.MaxBytes), s.Least()
	share := b.share(wanted, least)
	for bytes := share; ; {
		attempt, cancel := context.WithTimeout(ctx, createTimeout)
		err := create(attempt, bytes)
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse), errors.Is(err, jetstream.ErrBucketExists):
			return false, nil
		case err == nil && bytes < share: // else the share was told, for all of them at once
			b.log.WarnContext(ctx, "NATS has less room than it had a moment ago, so this is smaller than it should be; it may forget before its time, or refuse what is new earlier",
				"made", what, "bytes", bytes, "wanted", wanted, "setting", s.Setting())
			return true, nil
		case err == nil:
			return true, nil
		case !isNoRoom(err), outOfStreams(err):
			return false, withSetting(err, s)
		case bytes == least && s.Setting() == "":
			return false, fmt.Errorf("%s: NATS has no room for %d bytes: %w", what, least, withSetting(err, s))
		case bytes == least:
			return false, fmt.Errorf("%s: NATS has no room for %d bytes, the least that it needs; give NATS more room (max_file_store, or the account's limit), "+
				"or make %s and its like smaller: %w", what, least, s.Setting(), withSetting(err, s))
		}
		bytes = max(bytes/4, least)
	}
}

// share is what of a size may be had: all of it unless there was too little room.
func (b *Conn) share(wanted, least int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shares == 0 {
		return wanted
	}
	return max(int64(float64(wanted)*b.shares), least)
}
