// Package timetext reads and writes times and durations as people do.
//
// In: the text of a flag or of a setting of the simulator. Out: a time or a duration, or what would be right. It imports none of the
// bridge.
package timetext

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// mostDays is a number of days that fits into a duration.
const mostDays = 100_000

// Duration reads a duration such as 90s, 1h30m or, in days, 7d or 0.5d.
func Duration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n >= -mostDays && n <= mostDays {
			return time.Duration(n * float64(24*time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration such as 500ms, 90s, 2h or 7d", s)
	}
	return d, nil
}
