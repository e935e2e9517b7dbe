package bus

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
)

// gate is a lock for many readers or one writer for which nobody waits longer than a context allows.
type gate struct{ sem *semaphore.Weighted }

const gateWidth = 1 << 30

func newGate() gate { return gate{semaphore.NewWeighted(gateWidth)} }

func (g gate) RLock(ctx context.Context) error { return g.acquire(ctx, 1) }
func (g gate) RUnlock()                        { g.sem.Release(1) }

func (g gate) Lock(ctx context.Context) error { return g.acquire(ctx, gateWidth) }
func (g gate) Unlock()                        { g.sem.Release(gateWidth) }

func (g gate) acquire(ctx context.Context, n int64) error {
	if err := g.sem.Acquire(ctx, n); err != nil {
		return fmt.Errorf("wait for the disk: %w", err)
	}
	return nil
}

// looks asks the file system for its free space. A file system that hangs holds one such question, for whose answer all wait
// as long as they like.
type looks struct {
	free  func(dir string) (int64, error)
	group *singleflight.Group
}

func newLooks(free func(string) (int64, error)) looks { return looks{free, &singleflight.Group{}} }

func (l looks) space(ctx context.Context, dir string) (int64, error) {
	asked := l.group.DoChan(dir, func() (any, error) { return l.free(dir) })
	select {
	case answer := <-asked:
		if answer.Err != nil {
			return 0, answer.Err
		}
		return answer.Val.(int64), nil //nolint:errcheck // it is what free returns
	case <-ctx.Done():
		return 0, fmt.Errorf("free space of %s: the file system does not answer: %w", dir, ctx.Err())
	}
}

// inTime says whether do has ended within a time. It goes on if not.
func inTime(most time.Duration, do func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
