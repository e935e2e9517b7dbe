package bus

import (
	"sync"
	"time"
)

// seldomEvery is how often the same words are logged, and seldomMost how many are remembered.
const (
	seldomEvery = time.Minute
	seldomMost  = 64
)

// seldom keeps words that come again and again from filling the log.
type seldom struct {
	mu   sync.Mutex
	said map[string]*said
}

type said struct {
	at      time.Time
	skipped int
}

// due says whether something is to be logged, and how often it was not since the last time.
func (s *seldom) due(what string, now time.Time) (skipped int, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said == nil || len(s.said) >= seldomMost && s.said[what] == nil {
		s.said = map[string]*said{}
	}
	before := s.said[what]
	if before != nil && now.Sub(before.at) < seldomEvery {
		before.skipped++
		return 0, false
	}
	if before != nil {
		skipped = before.skipped
	}
	s.said[what] = &said{at: now}
	return skipped, true
}
