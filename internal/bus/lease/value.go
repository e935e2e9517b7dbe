package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// Value returns what the holders of a lease have kept, to one who does not want it. It is nil if nobody ever did. The leader of the
// bucket's stream is asked, once: another server may answer with the past.
func Value(ctx context.Context, conn stored.Conn, key string) (json.RawMessage, error) {
	name := topology.ReconcileBucket(conn.Settings().Prefix)
	m, err := stored.On(conn).FromLeader(ctx, "KV_"+name, map[string]any{"last_by_subj": "$KV." + name + "." + key})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("value of %s: %w", key, err)
	}
	var have holding
	if m.Header.Get("KV-Operation") != "" {
		return nil, nil
	}
	if err := json.Unmarshal(m.Data, &have); err != nil {
		return nil, fmt.Errorf("entry %s: %w", key, err)
	}
	return have.Value, nil
}
