package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/factro-bridge/factro-bridge/internal/timetext"
)

// stamp is a time as the commands print it, with date and zone. It is one word, and every flag for a time takes it.
func stamp(t time.Time) string { return t.Local().Format(time.RFC3339) }

// fineStamp is stamp to the millisecond, for what comes in quick succession.
func fineStamp(t time.Time) string { return t.Local().Format(fineForm) }

const fineForm = "2006-01-02T15:04:05.000Z07:00"

// stampForms are the forms of a time that flags take. Those without a zone are in this machine's.
var stampForms = []string{
	time.RFC3339, time.DateOnly, time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z07:00",
}

// moment reads a time, or how long before now it was; the zero time if there is none. One in the future is a mistake.
func moment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if ago, err := timetext.Duration(strings.TrimSuffix(s, "ago")); err == nil {
		return past(s, now.Add(-ago), now)
	}
	for _, form := range stampForms {
		if at, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return past(s, at, now)
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a duration such as 90m, 2h or 7d nor a time such as 2026-03-01 or 2026-03-01T12:00:00Z", s)
}

// skew is by how much the clock of this machine may be behind the broker's, whose times are printed.
const skew = 5 * time.Minute

func past(s string, at, now time.Time) (time.Time, error) {
	if at.After(now.Add(skew)) {
		return time.Time{}, fmt.Errorf("%q is in the future: it is %s, and now is %s", s, stamp(at), stamp(now))
	}
	return at, nil
}

// durationFlag declares a flag for a duration, which is read as everywhere.
func durationFlag(flags *pflag.FlagSet, p *time.Duration, name string, preset time.Duration, usage string) {
	*p = preset
	flags.Var((*durationValue)(p), name, usage)
}

type durationValue time.Duration

// Set reads the duration. What the flag library adds to the error names the flag.
func (d *durationValue) Set(s string) error {
	v, err := timetext.Duration(s)
	if err != nil {
		return err
	}
	*d = durationValue(v)
	return nil
}

func (*durationValue) Type() string { return "duration" }

func (d *durationValue) String() string { return time.Duration(*d).String() }
