package state

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// Each hands over the ids of the objects of a resource that are there, and when each was read.
func (s *Store) Each(ctx context.Context, resource string, each func(id string, read time.Time)) error {
	prefix := "$KV." + s.bucket + "." + s.cloud + "." + events.Token(resource) + "."
	for m, err := range journal.New(s.conn.JetStream()).Read(ctx, "KV_"+s.bucket, journal.Beginning(), journal.Present(), prefix+"*") {
		if err != nil {
			return fmt.Errorf("mirror: read the state: %w", err)
		}
		h := delivery.Header(m.Header)
		if h.Get(kvOperation) != "" {
			continue
		}
		read, _ := time.Parse(time.RFC3339Nano, h.Get(change.HeaderReadAt)) // zero if somebody else has written it
		each(strings.TrimPrefix(m.Subject, prefix), read)
	}
	return nil
}
