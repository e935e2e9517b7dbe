package sim

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Request is one request to the Core API, as the simulator remembers it.
type Request struct {
	Time      time.Time `json:"time"`
	Method    string    `json:"method"`
	Path      string    `json:"path"`      // escaped, below /api/core, without the query
	Operation string    `json:"operation"` // empty for an unknown route
	Status    int       `json:"status"`    // 0 if the connection was cut
	Applied   bool      `json:"applied"`   // whether the operation was done, whatever was answered
	Fault     FaultKind `json:"fault,omitempty"`
}

// Attempt is one attempt to deliver a webhook, as the simulator remembers it.
type Attempt struct {
	Time      time.Time `json:"time"`
	WebhookID string    `json:"webhookId"`
	PayloadID string    `json:"payloadId"`
	URL       string    `json:"url"`
	Action    string    `json:"action"`
	EntityID  string    `json:"entityId"`
	Number    int       `json:"number"` // 1 for the first attempt of an event
	Duplicate bool      `json:"duplicate"`
	Lost      bool      `json:"lost"`   // never sent, as the delivery settings want it
	Status    int       `json:"status"` // 0 without an answer
	Error     string    `json:"error,omitempty"`
}

// ring remembers the last of many things.
type ring[T any] struct {
	mu    sync.Mutex
	limit int
	items []T
	next  int
}

func newRing[T any](limit int) *ring[T] { return &ring[T]{limit: limit} }

func (r *ring[T]) add(item T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.items) < r.limit {
		r.items = append(r.items, item)
		return
	}
	r.items[r.next] = item
	r.next = (r.next + 1) % r.limit
}

func (r *ring[T]) list() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]T, 0, len(r.items))
	return append(append(out, r.items[r.next:]...), r.items[:r.next]...)
}

func (r *ring[T]) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items, r.next = nil, 0
}

// dice is the one source of chance and of ids, repeatable by its seed.
type dice struct {
	mu     sync.Mutex
	source *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{source: rand.New(rand.NewPCG(seed, seed))} }

// skip goes on with other dice, as far from the first ones as there are lines in the journal.
func (d *dice) skip(lines int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if lines > 0 {
		d.source = rand.New(rand.NewPCG(d.source.Uint64(), uint64(lines)))
	}
}

func (d *dice) hits(probability float64) bool {
	if probability <= 0 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.source.Float64() < probability
}

func (d *dice) shuffle(n int, swap func(i, j int)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.source.Shuffle(n, swap)
}

// id is a random uuid (version 4).
func (d *dice) id() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, b := d.source.Uint64(), d.source.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}
