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
				n := notice{}
				if !n.due(now, now.Add(tt.is)) {
					t.Error("who has heard nothing hears nothing")
				}
				n = notice{at: now, retryAt: now.Add(tt.heard)}
				if n.due(now, now.Add(tt.is)) {
					t.Error("it is told at once")
				}
				if got := n.due(now.Add(settled), now.Add(tt.is)); got != tt.want {
					t.Errorf("%t after a while", got)
				}
				n = notice{at: now, retryAt: now.Add(tt.heard)}
				n.due(now, now.Add(tt.is))
				n.due(now, now.Add(tt.heard))
				if n.due(now.Add(settled), now.Add(tt.is)) {
					t.Error("it is told although it was right meanwhile")
				}
			})
		})
	}
}
