package spool

import (
	"context"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/spool/disk"
)

// Run hands over what waits whenever the broker is there, and keeps the spool's server working. It returns when ctx ends,
// and then has finished what it had begun.
func (s *Spool) Run(ctx context.Context) error {
	if s.disk == nil {
		return nil
	}
	var drains sync.WaitGroup
	defer drains.Wait()
	tick := time.NewTicker(disk.RepairEvery)
	defer tick.Stop()
	repaired := make(chan struct{}, 1) // has a token when nobody repairs
	repaired <- struct{}{}
	for {
		select {
		case <-ctx.Done(): // a disk that hangs is not waited for
			return nil
		case <-s.queues.begin:
			for _, q := range s.queues.undrained() {
				drains.Go(func() { (&drain{spool: s, queue: q}).run(ctx) })
			}
		case <-tick.C:
			select {
			case <-repaired:
				go func() {
					s.disk.Repair(ctx, s.recount)
					s.saveLimits(ctx)
					repaired <- struct{}{}
				}()
			default:
			}
		}
	}
}
