// Package logsample says which of many equal cases are logged. In: the kind of a case. Out: whether to log it, and
// how many of its kind were not. Everything that it leaves out is counted elsewhere, in a metric.
package logsample

import (
	"sync"
	"time"
)

// mostKinds bounds the memory: some kinds are texts of servers. Beyond it, all kinds begin again.
const mostKinds = 1024

// Sampler lets one case of each kind through in a period.
type Sampler struct {
	every time.Duration

	mu    sync.Mutex
	kinds map[string]*kind
}

type kind struct {
	next    time.Time // none is logged before
	skipped int       // since the last
}

// New returns a sampler with that period.
func New(every time.Duration) *Sampler { return &Sampler{every: every, kinds: map[string]*kind{}} }

// Due says whether to log a case, and how many of its kind were left out since the last that was.
func (s *Sampler) Due(of string, now time.Time) (skipped int, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[of]
	if k == nil {
		if len(s.kinds) >= mostKinds {
			clear(s.kinds)
		}
		k = &kind{}
		s.kinds[of] = k
	}
	if now.Before(k.next) {
		k.skipped++
		return 0, false
	}
	skipped, k.skipped, k.next = k.skipped, 0, now.Add(s.every)
	return skipped, true
}
