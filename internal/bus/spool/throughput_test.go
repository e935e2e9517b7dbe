package spool

import (
	"testing"
	"time"
)

// TestThroughput: the time that a sender should wait follows the measured rate.
func TestThroughput(t *testing.T) {
	t.Parallel()
	var p throughput
	now := time.Now()
	if got := p.perSecond(now); got != 0 {
		t.Errorf("%f before anything moved", got)
	}
	for i := range 60 {
		p.add(10, now.Add(time.Duration(i)*100*time.Millisecond))
	}
	if got := p.perSecond(now.Add(6 * time.Second)); got < 80 || got > 120 {
		t.Errorf("%f a second, want about 100", got)
	}
	if got := p.perSecond(now.Add(time.Minute)); got != 0 {
		t.Errorf("%f after a minute without any", got)
	}
}
