package client

import (
	"context"
	"fmt"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Queue is how many commands of a cloud are not settled, and when the broker took the oldest of them; zero if there is none.
type Queue struct {
	Waiting uint64
	Oldest  time.Time
}

// Queue looks at the stream of a cloud's commands. It needs the right to see it.
func (c *Client) Queue(ctx context.Context, p events.Prefix, cloud string) (Queue, error) {
	attempt, cancel := context.WithTimeout(ctx, servedTimeout)
	defer cancel()
	s, err := c.js.Stream(attempt, p.CommandStream(cloud))
	if err != nil {
		return Queue{}, fmt.Errorf("stream %s: %w", p.CommandStream(cloud), err)
	}
	q := Queue{Waiting: s.CachedInfo().State.Msgs}
	if q.Waiting > 0 {
		q.Oldest = s.CachedInfo().State.FirstTime
	}
	return q, nil
}
