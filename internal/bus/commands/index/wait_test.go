package index

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestDue: a sender hears again only of what differs for a while by more than five seconds and a fifth of the wait.
func TestDue(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		heard, is time.Duration
		want      bool
	}{
		"the same":            {time.Minute, time.Minute, false},
		"a little later":      {time.Minute, 70 * time.Second, false},
		"later":               {time.Minute, 80 * time.Second, true},
		"much later":          {time.Minute, 2 * time.Minute, true},
		"much sooner":         {time.Minute, 25 * time.Second, true},
		"seconds are nothing": {12 * time.Second, 16 * time.Second, false},
		"it is its turn":      {time.Minute, 4 * time.Second, false},
		"it is over":          {-5 * time.Second, 20 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				n := Notice{}
				if !n.Due(now, now.Add(tt.is)) {
					t.Error("who has heard nothing hears nothing")
				}
				n = Notice{}
				n.Reported(now.Add(tt.heard))
				if n.Due(now, now.Add(tt.is)) {
					t.Error("it is reported at once")
				}
				if got := n.Due(now.Add(firstSettled), now.Add(tt.is)); got != tt.want {
					t.Errorf("%t after a while", got)
				}
				n = Notice{}
				n.Reported(now.Add(tt.heard))
				n.Due(now, now.Add(tt.is))
				n.Due(now, now.Add(tt.heard))
				if n.Due(now.Add(firstSettled), now.Add(tt.is)) {
					t.Error("it is reported although it was right meanwhile")
				}
			})
		})
	}
}

// TestReportedLess: the longer a sender waits, the less often it hears of another estimate.
func TestReportedLess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, began := Notice{}, time.Now()
		var times []time.Duration
		for since := range 40 * 60 {
			now := began.Add(time.Duration(since) * time.Second)
			if until := now.Add(time.Minute); n.Due(now, until) {
				n.Reported(until)
				times = append(times, time.Duration(since)*time.Second)
			}
		}
		if n := len(times); n < 5 || n > 9 {
			t.Errorf("it was reported %d times: %v", n, times)
		}
	})
}
