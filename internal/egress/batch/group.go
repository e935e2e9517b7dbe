package batch

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// group are members that meet again and again, until they leave. T is what they bring.
type group[T any] struct {
	mu      sync.Mutex
	members int // that have not left
	now     *meeting[T]
}

// meeting is one time that all members meet.
type meeting[T any] struct {
	here []arrival[T]
	all  chan struct{} // closed when all are here
	over chan struct{} // closed when what they met for is done
	err  error
}

type arrival[T any] struct {
	order int
	value T
}

// Place is the place of a member in its group.
type Place[T any] struct {
	group *group[T]
	order int
	left  bool
}

// Places returns the places of a group with so many members, in their order.
func Places[T any](n int) []*Place[T] {
	g := &group[T]{members: n}
	all := make([]*Place[T], n)
	for i := range all {
		all[i] = &Place[T]{group: g, order: i}
	}
	return all
}

// Meet waits until all members that have not left are here. Then one of them does what they met for, once for all, with what each has
// brought, in their order. Meet returns its error to each. If ctx ends before, what they met for is not done, or goes on without the
// member: it must not look at what it has brought.
func (p *Place[T]) Meet(ctx context.Context, mine T, do func(all []T) error) error {
	g := p.group
	g.mu.Lock()
	m := g.now
	first := m == nil
	if first {
		m = &meeting[T]{all: make(chan struct{}), over: make(chan struct{})}
		g.now = m
	}
	m.here = append(m.here, arrival[T]{p.order, mine})
	g.check()
	g.mu.Unlock()
	if !first {
		select {
		case <-m.over:
			return m.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer close(m.over)
	select {
	case <-m.all:
	case <-ctx.Done():
	}
	if m.err = ctx.Err(); m.err != nil {
		g.mu.Lock()
		if g.now == m {
			g.now = nil
		}
		g.mu.Unlock()
		return m.err
	}
	slices.SortFunc(m.here, func(a, b arrival[T]) int { return cmp.Compare(a.order, b.order) })
	brought := make([]T, len(m.here))
	for i, a := range m.here {
		brought[i] = a.value
	}
	m.err = do(brought)
	return m.err
}

// check ends the waiting when all are here. It is called under the lock.
func (g *group[T]) check() {
	if m := g.now; m != nil && len(m.here) >= g.members {
		close(m.all)
		g.now = nil
	}
}

// Leave says that the member does not come any more. last says that it was the last one; only the first call does.
func (p *Place[T]) Leave() (last bool) {
	g := p.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.left {
		return false
	}
	p.left = true
	g.members--
	g.check()
	return g.members == 0
}
