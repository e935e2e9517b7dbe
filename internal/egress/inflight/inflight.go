package inflight

import (
	"slices"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// All are the states of the commands in flight, for status requests.
type All struct {
	mu      sync.Mutex
	current []*Command // the one that began first is the first
}

// Command is the state of a command in flight. It belongs to the lock of its All.
type Command struct {
	all *All
	status.InFlight

	creates string        // the resource of what it makes
	known   chan struct{} // closed when the ledger knows it, nil if there is nothing to know
}

// Begin adds a command that is in flight from now on.
func (h *All) Begin(since time.Time) *Command {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &Command{all: h, InFlight: status.InFlight{State: status.Calling, Since: coreapi.Instant(since)}}
	h.current = append(h.current, p)
	return p
}

// End takes it out.
func (p *Command) End() {
	p.SetCreates("", false)
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	p.all.current = slices.DeleteFunc(p.all.current, func(o *Command) bool { return o == p })
}

// SetState sets the state of a command in flight and returns the previous one.
func (p *Command) SetState(s status.Activity) (before status.Activity) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	before, p.State = p.State, s
	return before
}

// SetCall keeps how the last call for a command in flight ended.
func (p *Command) SetCall(attempts int, reason string) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	p.Attempts, p.Reason = attempts, reason
}

// Status is the state of the command that has been in flight for the longest time.
func (h *All) Status() *status.InFlight {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.current) == 0 {
		return nil
	}
	in := h.current[0].InFlight
	return &in
}
