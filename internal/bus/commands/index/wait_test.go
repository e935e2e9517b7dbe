package index

import (
	"testing"
	"time"
)

// TestDiffers: a sender hears again only of what is more than five seconds and a fifth of the wait.
func TestDiffers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	in := func(d time.Duration) time.Time { return now.Add(d) }
	for name, tt := range map[string]struct {
		heard notice
		until time.Time
		want  bool
	}{
		"never":               {notice{}, in(time.Second), true},
		"the same":            {notice{now, in(time.Minute)}, in(time.Minute), false},
		"a little later":      {notice{now, in(time.Minute)}, in(70 * time.Second), false},
		"later":               {notice{now, in(time.Minute)}, in(80 * time.Second), true},
		"much later":          {notice{now, in(time.Minute)}, in(2 * time.Minute), true},
		"much sooner":         {notice{now, in(time.Minute)}, in(10 * time.Second), true},
		"seconds are nothing": {notice{now, in(2 * time.Second)}, in(7 * time.Second), false},
		"it is its turn":      {notice{now, in(time.Minute)}, in(4 * time.Second), false},
		"it is over":          {notice{now, in(-5 * time.Second)}, in(20 * time.Second), true},
	} {
		if got := tt.heard.differs(tt.until); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
