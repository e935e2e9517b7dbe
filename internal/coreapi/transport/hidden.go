package transport

import (
	"slices"
	"sync"

	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// hidden are the secrets that an answer must not bring back: the API key of the call, those of before, since factro may
// still know them, and what else is configured.
type hidden struct {
	more []*secret.Reader

	mu   sync.Mutex
	keys []secret.String // the newest last
	all  []secret.String // that last was made for
	last *secret.Scrubber
}

// maxKeys is how many API keys are remembered: the one in use, and the ones before it.
const maxKeys = 3

func newHidden(sources []secret.Source) *hidden {
	h := &hidden{}
	for _, s := range sources { // the way in reports a file that is no good
		h.more = append(h.more, secret.NewReader(s, nil, ""))
	}
	return h
}

// scrubber is one for all that is hidden, while a key is in use.
func (h *hidden) scrubber(key secret.String) *secret.Scrubber {
	var more []secret.String
	for _, r := range h.more {
		s, _ := r.Get() // of one that cannot be read, the last good one
		more = append(more, s)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.keys, key) {
		h.keys = append(h.keys, key)
		h.keys = h.keys[max(0, len(h.keys)-maxKeys):]
	}
	if all := slices.Concat(h.keys, more); h.last == nil || !slices.Equal(all, h.all) {
		h.all, h.last = all, secret.NewScrubber(all...)
	}
	return h.last
}
