package payload

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// Time is a timestamp of factro's. It is written in UTC with milliseconds, as in "2026-09-01T00:00:00.000Z", which is the
// form that factro's public SDK sends; what is finer is cut off. Any RFC 3339 is read. That factro answers in RFC 3339 is
// inferred from examples: where it does not, decoding fails, and the raw response still has what came.
//
// The zero Time is none and is not written: one that a command requires has to be set.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// At returns an instant as factro's timestamp.
func At(t time.Time) Time { return Time{t} }

// Day returns a calendar day in the form in which factro's web UI writes start and end dates: the instant at which the
// day begins in Germany. Days outside of a month are normalised, as by [time.Date].
//
// Germany's time comes from the machine's time zone database. Where there is none, as in a container without files, it
// is the rule that has held there since 1996: summer time from the last Sunday of March to that of October.
func Day(year int, month time.Month, day int) Time {
	return Time{time.Date(year, month, day, 0, 0, 0, 0, zone(year, month, day)).UTC()}
}

// CalendarDay returns the day that a start or end date means. Of a day, factro stores the instant at which it begins in
// Germany, or in UTC: both lie on the same German day.
func (t Time) CalendarDay() (year int, month time.Month, day int) {
	utc := t.UTC()
	if berlin := berlin(); berlin != nil {
		return utc.In(berlin).Date()
	}
	return utc.In(ruledAt(utc)).Date()
}

// String returns the time as it is written.
func (t Time) String() string { return t.UTC().Format(timeLayout) }

// MarshalJSON writes the time as factro's public SDK does. It refuses the zero time.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return nil, errors.New("the time is not set; use At or Day, or leave an optional one out")
	}
	if year := t.UTC().Year(); year < 0 || year > 9999 {
		return nil, fmt.Errorf("the time is in the year %d, want 0 to 9999", year)
	}
	return json.Marshal(t.String())
}

// UnmarshalJSON reads RFC 3339. As elsewhere in Go, null changes nothing.
func (t *Time) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	parsed, ok := binding.ParseTime(s)
	if !ok {
		return fmt.Errorf("%s is no time, want RFC 3339 such as 2026-09-01T00:00:00.000Z", binding.Quote(s))
	}
	t.Time = parsed
	return nil
}

// berlin returns Germany's time zone, or nil if the machine has no database of them.
var berlin = sync.OnceValue(func() *time.Location {
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		return nil
	}
	return loc
})

func zone(year int, month time.Month, day int) *time.Location {
	if loc := berlin(); loc != nil {
		return loc
	}
	return ruled(year, month, day)
}

var winter, summer = time.FixedZone("CET", 60*60), time.FixedZone("CEST", 2*60*60)

// ruled returns Germany's time at the beginning of a day, by the rule of 1996. The clock changes at one o'clock UTC, so
// the day of the change begins in the old time.
func ruled(year int, month time.Month, day int) *time.Location {
	return ruledAt(time.Date(year, month, day, 0, 0, 0, 0, winter).UTC())
}

// ruledAt returns Germany's time at an instant, by the rule of 1996.
func ruledAt(t time.Time) *time.Location {
	change := func(m time.Month) time.Time { // the last Sunday of a month of 31 days, one o'clock
		last := time.Date(t.Year(), m, 31, 1, 0, 0, 0, time.UTC)
		return last.AddDate(0, 0, -int(last.Weekday()))
	}
	if t.Before(change(time.March)) || !t.Before(change(time.October)) {
		return winter
	}
	return summer
}
