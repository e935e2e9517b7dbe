package bus

import (
	"context"
	"fmt"

	"golang.org/x/sync/semaphore"
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
