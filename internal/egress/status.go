package egress

import (
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// Status says why commands wait, as far as this process knows: what it has in hand, and what keeps it from calling factro.
func (w *Worker) Status() status.Status {
	s := status.Status{Cloud: w.cloud, At: time.Now().UTC(), InFlight: w.hand.status()}
	s.Factro, s.Paused = w.api.Conditions()
	return s
}

// hand is what the worker has in hand, for those who ask.
type hand struct {
	mu sync.Mutex
	in *status.InFlight
}

func (h *hand) take(since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.in = &status.InFlight{State: status.Calling, Since: coreapi.Instant(since)}
}

func (h *hand) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.in = nil
}

// is notes what is done now with the command in hand, and returns what was before.
func (h *hand) is(s status.Activity) (before status.Activity) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.in != nil {
		before, h.in.State = h.in.State, s
	}
	return before
}

// called notes how a call for the command in hand ended.
func (h *hand) called(attempts int, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.in != nil {
		h.in.Attempts, h.in.Reason = attempts, reason
	}
}

func (h *hand) status() *status.InFlight {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.in == nil {
		return nil
	}
	in := *h.in
	return &in
}
