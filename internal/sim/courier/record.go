package courier

import (
	"sync"
	"time"
)

// Attempt is one attempt to deliver a webhook, as in the log.
type Attempt struct {
	Time      time.Time `json:"time"`
	WebhookID string    `json:"webhookId"`
	PayloadID string    `json:"payloadId"`
	URL       string    `json:"url"`
	Action    string    `json:"action"`
	EntityID  string    `json:"entityId"`
	Number    int       `json:"number"` // 1 for the first attempt of an event
	Duplicate bool      `json:"duplicate"`
	Lost      bool      `json:"lost"`   // never sent, because of the delivery settings
	Status    int       `json:"status"` // 0 without an answer
	Error     string    `json:"error,omitempty"`
}

// Ring keeps the last items that were added.
type Ring[T any] struct {
	mu    sync.Mutex
	limit int
	items []T
	next  int
}

// NewRing makes a ring for limit items.
func NewRing[T any](limit int) *Ring[T] { return &Ring[T]{limit: limit} }

// Add adds an item. A full ring drops the oldest.
func (r *Ring[T]) Add(item T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.items) < r.limit {
		r.items = append(r.items, item)
		return
	}
	r.items[r.next] = item
	r.next = (r.next + 1) % r.limit
}

// List returns the items, the oldest first.
func (r *Ring[T]) List() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]T, 0, len(r.items))
	return append(append(out, r.items[r.next:]...), r.items[:r.next]...)
}

// Clear removes all items.
func (r *Ring[T]) Clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items, r.next = nil, 0
}
