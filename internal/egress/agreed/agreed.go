package agreed

import (
	"sync"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
)

// Value is a text that several answers agree on, such as the mandant's id. The first value is taken at once. A different
// value replaces it only after several answers in a row have it.
type Value struct {
	mu               sync.Mutex
	value, candidate string
	votes            int
}

// Observe takes the text of an answer; an empty one does not count.
func (a *Value) Observe(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch text {
	case "":
		return
	case a.value:
		a.votes = 0
		return
	case a.candidate:
	default:
		a.candidate, a.votes = text, 0
	}
	if a.votes++; a.votes >= coreapi.Agreeing || a.value == "" {
		a.value, a.votes = text, 0
	}
}

// Get returns the value, empty if there was none.
func (a *Value) Get() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.value
}
