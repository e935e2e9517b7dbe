package disk

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// gate is a lock for many readers or one writer. Nobody waits for it longer than a context allows. It counts who came and who
// left, so that an observer need not take it.
type gate struct {
	sem           *semaphore.Weighted
	entered, left *atomic.Uint64
}

const gateWidth = 1 << 30

func newGate() gate {
	return gate{semaphore.NewWeighted(gateWidth), new(atomic.Uint64), new(atomic.Uint64)}
}

func (g gate) RLock(ctx context.Context) error { return g.acquire(ctx, 1) }
func (g gate) RUnlock()                        { g.release(1) }

func (g gate) Lock(ctx context.Context) error { return g.acquire(ctx, gateWidth) }
func (g gate) Unlock()                        { g.release(gateWidth) }

func (g gate) acquire(ctx context.Context, n int64) error {
	if err := g.sem.Acquire(ctx, n); err != nil {
		return fmt.Errorf("wait for the disk: %w", err)
	}
	g.entered.Add(1)
	return nil
}

func (g gate) release(n int64) {
	g.left.Add(1)
	g.sem.Release(n)
}

// undisturbed calls observe, and says whether nobody was inside from its beginning to its end, neither a reader nor a writer.
// It takes no lock, so however long observe needs, nobody waits for it.
func (g gate) undisturbed(observe func()) bool {
	left := g.left.Load() // first: one who enters in between makes entered larger
	if g.entered.Load() != left {
		return false
	}
	observe()
	return g.entered.Load() == left
}
