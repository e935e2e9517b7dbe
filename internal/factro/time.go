package factro

import "time"

// Years in which an event of factro can have happened, by UTC.
const firstYear, lastYear = 2000, 2200

// IsEventTime reports whether an event can have happened then. Databases and libraries write 0001-01-01, 1970-01-01 or
// 9999-12-31 for an unknown time.
func IsEventTime(t time.Time) bool {
	year := t.UTC().Year()
	return year >= firstYear && year <= lastYear
}
