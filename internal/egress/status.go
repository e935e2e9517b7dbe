package egress

import (
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Status says why commands wait, as far as this process knows: what it has in hand, and what keeps it from calling factro.
func (w *Worker) Status() events.Status {
	s := events.Status{Cloud: w.cloud, At: time.Now().UTC(), InHand: w.hand.status()}
	s.Factro, s.Paused = w.api.Conditions()
	return s
}

// hand is what the worker has in hand, for those who ask.
type hand struct {
	mu sync.Mutex
	in *events.InHand
}

func (h *hand) take(since time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.in = &events.InHand{State: events.HandCalling, Since: coreapi.Instant(since)}
}

func (h *hand) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.in = nil
}

// is notes what is done now with the command in hand, and returns what was before.
func (h *hand) is(s events.HandState) (before events.HandState) {
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

func (h *hand) status() *events.InHand {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.in == nil {
		return nil
	}
	in := *h.in
	return &in
}
