package batch

import (
	"testing"
	"time"
)

// TestSizes: after a refusal half as many go together, at last none for a while; what works grows again.
func TestSizes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := &sizes{most: 20, now: map[string]size{}, calls: 1}
	want := func(n int) {
		t.Helper()
		if got := s.limit("createPackages\x00p-1", now); got != n {
			t.Errorf("the limit is %d, want %d", got, n)
		}
	}
	want(20)
	s.refused("createPackages", 20, now)
	want(10)
	s.worked("createPackages", 3)
	want(10)
	s.worked("createPackages", 10)
	want(20)
	for _, n := range []int{20, 10, 5, 2} {
		s.refused("createPackages", n, now)
	}
	want(1)
	if got := s.limit("createProjects", now); got != 20 {
		t.Errorf("another operation has %d", got)
	}
	now = now.Add(tryAgain)
	want(2)
	s.worked("createPackages", 2)
	want(4)
	for range 100 {
		s.called(10)
	}
	if got := s.byCall(); got < 9 || got > 10 {
		t.Errorf("%f commands by call", got)
	}
}
