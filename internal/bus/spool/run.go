package spool

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/spool/disk"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/progress"
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
		case <-s.begin:
			for _, q := range s.undrained() {
				drains.Go(func() { s.drainQueue(ctx, q) })
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

// drainQueue hands over one cloud's messages until ctx ends.
func (s *Spool) drainQueue(ctx context.Context, q *cloudQueue) {
	failures, handed := 0, 0
	begun := s.reportWaiting(ctx, q)
	var watch progress.Log
	for {
		for q.empty() {
			if attrs, reported := watch.End(time.Now()); reported {
				s.log.LogAttrs(ctx, slog.LevelInfo, "the spool is handed over", append(attrs, slog.String("cloud", q.cloud))...)
			} else if begun && handed > 0 {
				s.log.InfoContext(ctx, "the spool is handed over", "cloud", q.cloud, "messages", handed)
			}
			handed = 0
			q.drain.searched.forget()
			select {
			case <-q.wake:
			case <-ctx.Done():
				return
			}
			begun = s.reportWaiting(ctx, q)
		}
		if s.conn.AwaitUp(ctx) != nil {
			return // ctx has ended, or the connection is closed for good and the process ends
		}
		n, err := s.round(ctx, q)
		again := 20 * time.Millisecond // one is being written
		switch {
		case err == nil && n > 0:
			if failures > 0 {
				s.log.InfoContext(ctx, "the spool is handed over again", "cloud", q.cloud)
			}
			failures = 0
			handed += n
			if attrs, due := watch.Left(q.length(), time.Now()); due {
				s.log.LogAttrs(ctx, slog.LevelInfo, "the spool is being handed over", append(attrs, slog.String("cloud", q.cloud))...)
			}
			continue
		case err != nil:
			watch = progress.Log{}                             // how long the failure lasts says nothing of the time after it
			if failures++; failures == 1 && ctx.Err() == nil { // the same failure again and again is one line
				s.log.WarnContext(ctx, "the spool cannot be handed over; trying again", "cloud", q.cloud, "error", err)
			}
			again = delivery.Backoff(min(failures, 4))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}

// reportWaiting logs that webhooks of a cloud wait in the spool, if any do, at most once a minute. It returns whether it did.
func (s *Spool) reportWaiting(ctx context.Context, q *cloudQueue) bool {
	if q.empty() {
		return false
	}
	_, due := s.samples.Due("waiting "+q.cloud, time.Now())
	if due {
		s.log.InfoContext(ctx, "webhooks wait in the spool until NATS takes them", "cloud", q.cloud)
	}
	return due
}
