package inflight

import "context"

// SetCreates notes whether the command may have made an object of a resource that the ledger does not know.
func (p *Command) SetCreates(resource string, may bool) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	switch {
	case may && p.known == nil:
		p.creates, p.known = resource, make(chan struct{})
	case !may && p.known != nil:
		close(p.known)
		p.known = nil
	}
}

// AwaitCreates waits until SetCreates says no more that the other commands of now may have made an object of a resource that the ledger
// does not know.
func (p *Command) AwaitCreates(ctx context.Context, resource string) error {
	for _, known := range p.creating(resource) {
		select {
		case <-known:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (p *Command) creating(resource string) (all []<-chan struct{}) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	for _, o := range p.all.current {
		if o != p && o.known != nil && o.creates == resource {
			all = append(all, o.known)
		}
	}
	return all
}
