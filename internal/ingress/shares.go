package ingress

import "sync"

// shares divides a limited resource among the clouds. Half of it is reserved for them in equal parts; the other half is shared,
// first come, first served.
type shares struct {
	each, common int64

	mu            sync.Mutex
	used          map[string]int64 // by cloud
	all, inCommon int64
}

func newShares(total int64, clouds int) *shares {
	each := total / 2 / int64(max(1, clouds))
	return &shares{each: each, common: total - each*int64(max(1, clouds)), used: map[string]int64{}}
}

// take takes n for a cloud, and reports whether that much was left.
func (s *shares) take(cloud string, n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	more := s.beyond(s.used[cloud]+n) - s.beyond(s.used[cloud])
	if s.inCommon+more > s.common {
		return false
	}
	s.used[cloud] += n
	s.inCommon += more
	s.all += n
	return true
}

// give returns n that a cloud took.
func (s *shares) give(cloud string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inCommon -= s.beyond(s.used[cloud]) - s.beyond(s.used[cloud]-n)
	s.used[cloud] -= n
	s.all -= n
}

// beyond is how much a cloud uses beyond its own part.
func (s *shares) beyond(used int64) int64 { return max(0, used-s.each) }

// inUse is how much all clouds use.
func (s *shares) inUse() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}
