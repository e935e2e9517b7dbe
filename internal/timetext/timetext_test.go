package timetext

import (
	"strings"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "200ms": 200 * time.Millisecond, "1h30m": 90 * time.Minute, "7d": 7 * 24 * time.Hour, "0.5d": 12 * time.Hour, "-2h": -2 * time.Hour, " 2m ": 2 * time.Minute,
	} {
		if got, err := Duration(text); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "d", "5x", "NaNd", "1e99d", "gestern", "7d2h"} {
		if got, err := Duration(text); err == nil || !strings.Contains(err.Error(), "no duration such as") {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}
