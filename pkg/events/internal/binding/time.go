package binding

import (
	"strings"
	"time"
)

// FormatTime writes a time as RFC 3339 in UTC with all its digits; that form has four digits for the year.
func FormatTime(t time.Time) (string, bool) {
	t = t.UTC()
	return t.Format(time.RFC3339Nano), t.Year() >= 0 && t.Year() <= 9999
}

// ParseTime reads RFC 3339. [time.Parse] is laxer: it also takes a comma for the point and an hour of one digit.
func ParseTime(s string) (time.Time, bool) {
	const hourEnd = len("2006-01-02T15")
	if len(s) <= hourEnd || s[hourEnd] != ':' || strings.Contains(s, ",") {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, false
	}
	_, ok := FormatTime(t)
	return t, ok
}
