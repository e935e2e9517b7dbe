package egress

import (
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// Status says why commands wait, as far as this process knows: the command in flight, and what blocks calls to factro.
func (w *Worker) Status() status.Status {
	s := status.Status{Cloud: w.cloud, At: time.Now().UTC(), InFlight: w.inFlight.status()}
	s.Factro, s.Paused = w.api.Conditions()
	return s
}

// inFlight is the state of the command in flight, for status requests.
type inFlight struct {
	mu      sync.Mutex
	current *status.InFlight
}

func (h *inFlight) begin(since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.current = &status.InFlight{State: status.Calling, Since: coreapi.Instant(since)}
}

func (h *inFlight) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.current = nil
}

// setState sets the state of the command in flight and returns the previous one.
func (h *inFlight) setState(s status.Activity) (before status.Activity) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current != nil {
		before, h.current.State = h.current.State, s
	}
	return before
}

// setCall keeps how the last call for the command in flight ended.
func (h *inFlight) setCall(attempts int, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current != nil {
		h.current.Attempts, h.current.Reason = attempts, reason
	}
}

func (h *inFlight) status() *status.InFlight {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current == nil {
		return nil
	}
	in := *h.current
	return &in
}
