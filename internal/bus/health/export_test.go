package health

import "time"

// Believe has checks count again that find all well, as if the time for which they do not were over.
func (h *Health) Believe(destination string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failing[destination].past = true
}

// Distrusted is how often publishes to a destination failed in a row, and for how long since the last of them no check counts.
func (h *Health) Distrusted(destination string) (times int, wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.failing[destination]
	if f == nil {
		return 0, 0
	}
	return f.times, f.until().Sub(f.last)
}
