package egress

import (
	"sync"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
)

// agreed is a text that answers tell, such as the mandant's id. The first one is taken, another only if several answers
// in a row tell it.
type agreed struct {
	mu               sync.Mutex
	value, candidate string
	votes            int
}

func (a *agreed) learn(text string) {
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

func (a *agreed) get() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.value
}
