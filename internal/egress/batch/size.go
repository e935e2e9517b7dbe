package batch

import (
	"strings"
	"sync"
	"time"
)

// tryAgain is how long commands of an operation are carried out alone when factro has refused even two of them together.
const tryAgain = 10 * time.Minute

// sizes are how many commands go together. How many factro takes is not known, nor whether it takes a list at all: after a refusal
// half as many are tried, and again more when that works.
type sizes struct {
	most int

	mu    sync.Mutex
	now   map[string]size // by the operation for the list; those that are missing have the most
	calls float64         // commands by call, of the last calls
}

type size struct {
	most  int
	until time.Time // when two are tried again, if it is one
}

// limit is how many may go together now.
func (s *sizes) limit(key string, now time.Time) int {
	operation, _, _ := strings.Cut(key, "\x00")
	s.mu.Lock()
	defer s.mu.Unlock()
	limited, is := s.now[operation]
	switch {
	case !is:
		return s.most
	case limited.most < 2 && now.Before(limited.until):
		return 1
	}
	return max(limited.most, 2)
}

// refused says that factro has refused so many together.
func (s *sizes) refused(operation string, n int, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now[operation] = size{n / 2, now.Add(tryAgain)}
}

// worked says that so many went together.
func (s *sizes) worked(operation string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	limited, is := s.now[operation]
	switch {
	case !is || n < limited.most:
	case 2*n >= s.most:
		delete(s.now, operation)
	default:
		s.now[operation] = size{most: 2 * n}
	}
}

// called says how many commands a call was made for.
func (s *sizes) called(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls += (float64(n) - s.calls) / 16
}

// byCall is how many commands a call is made for, on average of the last ones.
func (s *sizes) byCall() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.calls, 1)
}
