package delayed

import (
	"context"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// Count is how many commands of a cloud are delayed. It is not known while NATS does not answer, or where the bridge may not ask.
func (s *Store) Count(ctx context.Context, cloud string) (n int64, known bool) {
	name := topology.DelayedStream(s.conn.Settings().Prefix, cloud)
	if !s.conn.NATS().IsConnected() || s.conn.Health().Hidden(name) {
		return 0, false
	}
	have, err := s.conn.JetStream().Stream(ctx, name)
	if err != nil {
		return 0, false
	}
	return int64(have.CachedInfo().State.Msgs), true //nolint:gosec // far below the limit of the type
}
