package egress

import (
	"sync"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
)

// agreedValue is a text that several answers agree on, such as the mandant's id. The first value is taken at once. A different
// value replaces it only after several answers in a row have it.
type agreedValue struct {
	mu               sync.Mutex
	value, candidate string
	votes            int
}

func (a *agreedValue) observe(text string) {
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

func (a *agreedValue) get() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.value
}
