package bus

import (
	"context"
	"time"
)

// Drained waits until nothing of a cloud waits in the spool. It does not hurry it.
func (s *Spool) Drained(ctx context.Context, cloud string) error {
	l := s.lane(cloud)
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		if l.idle() {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
