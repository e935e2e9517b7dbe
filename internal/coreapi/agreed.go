package coreapi

import "sync"

// AgreedValue is a text that several answers agree on, such as the mandant's id. The first value is taken at once. A different
// value replaces it only after several answers in a row have it.
type AgreedValue struct {
	mu               sync.Mutex
	value, candidate string
	votes            int
}

// Observe takes the value of an answer; "" says nothing.
func (a *AgreedValue) Observe(text string) {
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
	if a.votes++; a.votes >= Agreeing || a.value == "" {
		a.value, a.votes = text, 0
	}
}

// Get returns the value, "" if no answer had one.
func (a *AgreedValue) Get() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.value
}
