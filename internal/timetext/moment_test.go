package timetext

import (
	"strings"
	"testing"
	"time"
)

func TestMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	local := func(hour, minute int) time.Time { return time.Date(2026, 2, 27, hour, minute, 0, 0, time.Local) }
	for text, want := range map[string]time.Time{
		"": {}, "2h": now.Add(-2 * time.Hour), "2h ago": now.Add(-2 * time.Hour), "90m": now.Add(-90 * time.Minute), "7d": now.AddDate(0, 0, -7), "0s": now,
		"2026-02-27": local(0, 0), "2026-02-27 15:04": local(15, 4), "2026-02-27 15:04:00": local(15, 4), "2026-02-27T15:04": local(15, 4),
		"2026-03-01T11:00:00Z": now.Add(-time.Hour), "2026-03-01T12:00:00.500+01:00": now.Add(-time.Hour + time.Second/2),
		"2026-03-01 12:00:00 +01:00": now.Add(-time.Hour), "2026-03-01T12:00:10Z": now.Add(10 * time.Second), // the broker's clock
	} {
		if got, err := Moment(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"gestern": "neither", "2026-13-01": "neither", "12:00": "neither", "NaNd": "neither", "1e99d": "neither", "ago": "neither",
		"-2h": "future", "2026-03-01T12:06:00Z": "future",
	} {
		if got, err := Moment(text, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
}
