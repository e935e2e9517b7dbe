package egress

import (
	"slices"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// Status says why commands wait, as far as this process knows: the command that is in flight for the longest time, and what blocks calls to factro.
func (w *Worker) Status() status.Status {
	s := status.Status{Cloud: w.cloud, At: time.Now().UTC(), InFlight: w.inFlight.status()}
	s.Factro, s.Paused = w.api.Conditions()
	return s
}

// inFlight are the states of the commands in flight, for status requests.
type inFlight struct {
	mu      sync.Mutex
	current []*tracked // the one that began first is the first
}

// tracked is the state of a command in flight. It belongs to the lock of its inFlight.
type tracked struct {
	all *inFlight
	status.InFlight
}

func (h *inFlight) begin(since time.Time) *tracked {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &tracked{h, status.InFlight{State: status.Calling, Since: coreapi.Instant(since)}}
	h.current = append(h.current, p)
	return p
}

func (p *tracked) end() {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	p.all.current = slices.DeleteFunc(p.all.current, func(o *tracked) bool { return o == p })
}

// setState sets the state of a command in flight and returns the previous one.
func (p *tracked) setState(s status.Activity) (before status.Activity) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	before, p.State = p.State, s
	return before
}

// setCall keeps how the last call for a command in flight ended.
func (p *tracked) setCall(attempts int, reason string) {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	p.Attempts, p.Reason = attempts, reason
}

// status is the state of the command that has been in flight for the longest time.
func (h *inFlight) status() *status.InFlight {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.current) == 0 {
		return nil
	}
	in := h.current[0].InFlight
	return &in
}
