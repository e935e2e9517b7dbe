package ingress

import "sync"

// shares divides something that is scarce among the clouds. Half of it is theirs in equal parts, which nobody else can take;
// the other half is for whoever comes first.
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

// take takes n for a cloud, or says that there is not as much left.
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

// give gives back what was taken.
func (s *shares) give(cloud string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inCommon -= s.beyond(s.used[cloud]) - s.beyond(s.used[cloud]-n)
	s.used[cloud] -= n
	s.all -= n
}

// beyond is how much of what a cloud uses is more than its own part.
func (s *shares) beyond(used int64) int64 { return max(0, used-s.each) }

// inUse is what all clouds have taken.
func (s *shares) inUse() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}
