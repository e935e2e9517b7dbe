package timetext

import (
	"fmt"
	"strings"
	"time"
)

// Stamp is a time as the commands print it, with date and zone. It is one word, and every flag for a time takes it.
func Stamp(t time.Time) string { return t.Local().Format(time.RFC3339) }

// FineStamp is stamp to the millisecond, for what comes in quick succession.
func FineStamp(t time.Time) string { return t.Local().Format(FineForm) }

const FineForm = "2006-01-02T15:04:05.000Z07:00"

// stampForms are the forms of a time that flags take. Those without a zone are in this machine's.
var stampForms = []string{
	time.RFC3339, time.DateOnly, time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z07:00",
}

// Moment reads a time, or how long before now it was; the zero time if there is none. One in the future is a mistake.
func Moment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if ago, err := Duration(strings.TrimSuffix(s, "ago")); err == nil {
		return past(s, now.Add(-ago), now)
	}
	for _, form := range stampForms {
		if at, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return past(s, at, now)
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a duration such as 90m, 2h or 7d nor a time such as 2026-03-01 or 2026-03-01T12:00:00Z", s)
}

// Ahead reads a time that is to come, or how long after now it is.
func Ahead(s string, now time.Time) (time.Time, error) {
	if in, err := Duration(s); err == nil {
		if in < 0 {
			return time.Time{}, fmt.Errorf("%q has passed: want a duration from now on", s)
		}
		return now.Add(in), nil
	}
	for _, form := range stampForms {
		at, err := time.ParseInLocation(form, s, time.Local)
		switch {
		case err != nil:
		case !at.After(now):
			return time.Time{}, fmt.Errorf("%q has passed: it is %s, and now is %s", s, Stamp(at), Stamp(now))
		default:
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a duration such as 90m, 2h or 7d nor a time such as 2026-03-01 or 2026-03-01T12:00:00Z", s)
}

// skew is by how much the clock of this machine may be behind the broker's, whose times are printed.
const skew = 5 * time.Minute

func past(s string, at, now time.Time) (time.Time, error) {
	if at.After(now.Add(skew)) {
		return time.Time{}, fmt.Errorf("%q is in the future: it is %s, and now is %s", s, Stamp(at), Stamp(now))
	}
	return at, nil
}
