package coreapi

import (
	"net/http"
	"testing"
	"time"
)

// TestClock: one answer alone sets no clock, several that agree do, and none does that cannot be.
func TestClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		ahead []time.Duration
		want  time.Duration
		known bool
		far   int
	}{
		"nothing":            {nil, 0, false, 0},
		"as ours":            {[]time.Duration{time.Second}, time.Second, true, 0},
		"one alone":          {[]time.Duration{40 * time.Second}, 0, false, 0},
		"three":              {[]time.Duration{40 * time.Second, 41 * time.Second, 40 * time.Second}, 40 * time.Second, true, 0},
		"three, apart":       {[]time.Duration{40 * time.Second, 80 * time.Second, 40 * time.Second}, 0, false, 0},
		"an odd one":         {[]time.Duration{0, 2 * time.Minute, 0}, 0, true, 0},
		"odd ones, not more": {[]time.Duration{0, 2 * time.Minute, 2 * time.Minute, 0, 2 * time.Minute}, 0, true, 0},
		"a drift":            {[]time.Duration{0, 2 * time.Second, 4 * time.Second, 6 * time.Second}, 6 * time.Second, true, 0},
		"behind":             {[]time.Duration{-time.Minute, -time.Minute, -time.Minute}, -time.Minute, true, 0},
		"2100":               {[]time.Duration{0, 73 * 365 * 24 * time.Hour, 73 * 365 * 24 * time.Hour, 73 * 365 * 24 * time.Hour}, 0, true, 3},
		"hours":              {[]time.Duration{time.Hour, time.Hour, time.Hour, time.Hour}, 0, false, 4},
	} {
		var c clock
		fars, warns := 0, 0
		for _, ahead := range test.ahead {
			_, far, warn := c.learn(http.Header{"Date": {now.Add(ahead).Format(http.TimeFormat)}}, now.Add(time.Second/2))
			if far {
				fars++
			}
			if warn {
				warns++
			}
		}
		if off, known := c.offset(); off != test.want || known != test.known || fars != test.far || warns != min(fars, 1) {
			t.Errorf("%s: %s, known %t, %d too far, %d warnings; want %s, %t, %d", name, off, known, fars, warns, test.want, test.known, test.far)
		}
	}
}
