package logsample

import (
	"strconv"
	"testing"
	"time"
)

// TestDue: one case of a kind in a period, with the number of those that were left out; kinds do not disturb each other.
func TestDue(t *testing.T) {
	t.Parallel()
	s := New(time.Minute)
	now := time.Now()
	for i, step := range []struct {
		kind    string
		after   time.Duration
		skipped int
		due     bool
	}{
		{"a", 0, 0, true},
		{"a", time.Second, 0, false},
		{"b", time.Second, 0, true},
		{"a", 59 * time.Second, 0, false},
		{"a", time.Minute, 2, true},
		{"a", 3 * time.Minute, 0, true},
	} {
		if skipped, due := s.Due(step.kind, now.Add(step.after)); skipped != step.skipped || due != step.due {
			t.Errorf("step %d: %d left out, due: %t; want %d, %t", i, skipped, due, step.skipped, step.due)
		}
	}
}

// TestBounded: kinds without end take no memory without end.
func TestBounded(t *testing.T) {
	t.Parallel()
	s := New(time.Hour)
	for i := range 10 * mostKinds {
		s.Due(strconv.Itoa(i), time.Now())
	}
	if len(s.kinds) > mostKinds {
		t.Errorf("%d kinds are remembered", len(s.kinds))
	}
}
