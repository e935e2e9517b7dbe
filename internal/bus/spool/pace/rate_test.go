package pace_test

import (
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/spool/pace"
)

// TestRate: the time that a sender should wait follows the measured rate.
func TestRate(t *testing.T) {
	t.Parallel()
	var p pace.Rate
	now := time.Now()
	if got := p.PerSecond(now); got != 0 {
		t.Errorf("%f before anything moved", got)
	}
	for i := range 60 {
		p.Add(10, now.Add(time.Duration(i)*100*time.Millisecond))
	}
	if got := p.PerSecond(now.Add(6 * time.Second)); got < 80 || got > 120 {
		t.Errorf("%f a second, want about 100", got)
	}
	if got := p.PerSecond(now.Add(time.Minute)); got != 0 {
		t.Errorf("%f after a minute without any", got)
	}
}

// TestRetryAfter: the time to wait follows what waits and the rate, within bounds.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var p pace.Rate
	if got := p.RetryAfter(1000, now); got != 30*time.Second {
		t.Errorf("%s while nothing is handed over", got)
	}
	p.Add(100, now) // 100 a second, as the first second of a window counts whole
	for waiting, want := range map[int64]time.Duration{10: time.Second, 10_000: 10 * time.Second, 10_000_000: 5 * time.Minute} {
		if got := p.RetryAfter(waiting, now); got != want {
			t.Errorf("%s while %d wait, want %s", got, waiting, want)
		}
	}
}
