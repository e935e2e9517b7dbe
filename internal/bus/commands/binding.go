package commands

import (
	"context"
	"sync"
)

// binding is the consumer that is bound. A verdict on a delivery of one must not reach the next one, since a stream that was made
// again counts from 1 again: there the same number is another command.
type binding struct {
	mu  sync.Mutex
	end context.CancelFunc
	ctx context.Context //nolint:containedctx // it ends with the binding, which no call lasts for
}

// renew ends the binding before, and begins the next one.
func (b *binding) renew() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end != nil {
		b.end()
	}
	b.ctx, b.end = context.WithCancel(context.Background())
}

// during returns a context that also ends with the binding.
func (b *binding) during(ctx context.Context) (context.Context, context.CancelFunc) {
	b.mu.Lock()
	bound := b.ctx
	b.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	if bound == nil {
		return ctx, cancel
	}
	stop := context.AfterFunc(bound, cancel)
	return ctx, func() { stop(); cancel() }
}
