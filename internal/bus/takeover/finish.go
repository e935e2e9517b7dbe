package takeover

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/plural"
)

// settled is how long a copy without any news is believed to be complete although its last message is another one than the
// last of the old stream: a repetition that the new stream did not take.
const settled = 2 * time.Second

// take waits until the last messages were copied, and gives the stream its subjects and its limit.
func (t *Takeover) take(ctx context.Context, old jetstream.Stream, want topology.Stream) error {
	var still time.Time // since when nothing came although something is left
	before := uint64(0)
	for {
		have, err := t.conn.JetStream().Stream(ctx, want.Name)
		if err != nil {
			return err
		}
		left, err := t.leftToCopy(ctx, old, have, want)
		if err != nil {
			return fmt.Errorf("stream %s: %w", want.Name, err)
		}
		t.tellMoving(ctx, want.Name, left)
		info := have.CachedInfo()
		idle := !slices.ContainsFunc(info.Sources, func(s *jetstream.StreamSourceInfo) bool { return s.Lag > 0 || s.Active < 0 })
		if left != before || !idle {
			still, before = time.Now(), left
		}
		if left == 0 || idle && time.Since(still) > settled {
			return t.finish(ctx, have, want)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stream %s: %s left to copy: %w", want.Name, plural.Of(left, "message"), ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// finish makes a stream that was filled the one of the contract. Its limit is what it holds, if that is more than it should.
func (t *Takeover) finish(ctx context.Context, have jetstream.Stream, want topology.Stream) error {
	info, err := have.Info(ctx)
	if err != nil {
		return err
	}
	cfg := t.cfg.Plan().Stream(want).StreamConfig
	cfg.Replicas = info.Config.Replicas
	holds := int64(min(info.State.Bytes, 1<<62))
	wanted := want.Kind.Size(t.cfg.MaxBytes)
	least := max(holds+holds/8, topology.LeastSize)
	cfg.MaxBytes = max(wanted, least)
	_, err = t.conn.JetStream().UpdateStream(ctx, cfg)
	for natserr.Of(err) == natserr.NoRoom && cfg.MaxBytes > least {
		cfg.MaxBytes = max(cfg.MaxBytes/4, least)
		_, err = t.conn.JetStream().UpdateStream(ctx, cfg)
	}
	full := err
	if natserr.Of(err) == natserr.NoRoom { // somebody waits for the subjects
		cfg.MaxBytes = -1
		_, err = t.conn.JetStream().UpdateStream(ctx, cfg)
	}
	if err != nil {
		return fmt.Errorf("give stream %s its subjects: %w", want.Name, err)
	}
	t.setMoving(want.Name, false)
	switch {
	case cfg.MaxBytes < 0:
		t.log.WarnContext(ctx, "stream of an older version is taken over without a limit, since NATS has no room to reserve; give it room, and a limit",
			"stream", want.Name, "holds", holds, "error", full)
	case cfg.MaxBytes != wanted:
		t.log.WarnContext(ctx, "stream of an older version is taken over with another limit than it should have", "stream", want.Name,
			"max_bytes", cfg.MaxBytes, "wanted", wanted, "holds", holds, "setting", want.Kind.Setting())
	default:
		t.log.InfoContext(ctx, "stream of an older version is taken over", "stream", want.Name, "messages", info.State.Msgs)
	}
	return nil
}
