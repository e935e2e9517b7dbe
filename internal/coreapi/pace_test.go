package coreapi

import (
	"testing"
	"time"
)

// TestAnswerTime: how long answers take is told by most of the latest ones, and not by a few that were held up.
func TestAnswerTime(t *testing.T) {
	t.Parallel()
	var p pace
	answers := func(n int, took, want time.Duration) {
		t.Helper()
		for range n {
			p.learn(took)
		}
		if got := p.answer(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	answers(1, 10*time.Second, 0)
	answers(14, 250*time.Millisecond, 0)
	answers(1, 250*time.Millisecond, 250*time.Millisecond)
	answers(8, 5*time.Second, 250*time.Millisecond)
	answers(40, 2*time.Second, 2*time.Second)
	answers(20, 50*time.Millisecond, 50*time.Millisecond)
}
