package control

import (
	"context"
	"maps"
	"sync"
)

// Board has the pauses as this process knows them. A nil Board has none.
type Board struct {
	mu      sync.Mutex
	pauses  map[Place]Pause
	changed chan struct{} // closed at the next change; a new one after it
	known   chan struct{} // closed once the pauses were read, or cannot be
}

// NewBoard returns a board that knows nothing yet.
func NewBoard() *Board { return &Board{changed: make(chan struct{}), known: make(chan struct{})} }

// Set replaces all pauses.
func (b *Board) Set(pauses map[Place]Pause) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.known:
		if maps.Equal(b.pauses, pauses) {
			return
		}
	default:
		close(b.known)
	}
	b.pauses = maps.Clone(pauses)
	close(b.changed)
	b.changed = make(chan struct{})
}

// Paused returns the pause of a direction, if it is paused.
func (b *Board) Paused(cloud string, d Direction) (Pause, bool) {
	if b == nil {
		return Pause{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.pauses[Place{cloud, d}]
	return p, ok
}

// Known says whether the pauses were read. Until then, what was paused before the process started may still be.
func (b *Board) Known() bool {
	if b == nil {
		return true
	}
	select {
	case <-b.known:
		return true
	default:
		return false
	}
}

// AwaitKnown waits until the pauses were read.
func (b *Board) AwaitKnown(ctx context.Context) error {
	if b == nil {
		return nil
	}
	select {
	case <-b.known:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Changed returns a channel that is closed at the next change, of any place.
func (b *Board) Changed() <-chan struct{} {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// AwaitFree waits until the pauses are known and a direction is not paused.
func (b *Board) AwaitFree(ctx context.Context, cloud string, d Direction) error {
	if err := b.AwaitKnown(ctx); err != nil {
		return err
	}
	for {
		changed := b.Changed()
		if _, paused := b.Paused(cloud, d); !paused {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
