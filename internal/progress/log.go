package progress

import (
	"log/slog"
	"math"
	"time"
)

// LogEvery is the interval of records in a log, which is kept.
const LogEvery = 30 * time.Second

// Log reports progress in a log, by what is left. The zero value is ready, and begins with the first count that it gets.
type Log struct {
	meter  Meter
	next   time.Time // when a record is due; zero if nothing is going on
	logged bool
}

// Left says how many are left, and whether a record is due, with these attributes.
func (l *Log) Left(left int64, now time.Time) (attrs []slog.Attr, due bool) {
	if l.next.IsZero() {
		*l = Log{meter: NewMeter("", "", left, now), next: now.Add(Quiet)}
	}
	l.meter.Left(left, now)
	if now.Before(l.next) {
		return nil, false
	}
	l.next, l.logged = now.Add(LogEvery), true
	attrs = l.attrs(now)
	if left, ok := l.meter.Remaining(now); ok {
		attrs = append(attrs, slog.String("left", short(left)))
	}
	return attrs, true
}

// End says that nothing is left, or that it is given up, and whether a line in the log has said before that it goes on.
func (l *Log) End(now time.Time) (attrs []slog.Attr, logged bool) {
	attrs, logged = l.attrs(now), l.logged
	*l = Log{}
	return attrs, logged
}

func (l *Log) attrs(now time.Time) []slog.Attr {
	rate := math.Round(l.meter.PerSecond(now)*10) / 10
	return []slog.Attr{
		slog.Int64("done", l.meter.Done()), slog.Int64("total", l.meter.Total()), slog.Float64("per_second", rate),
		slog.String("took", short(rounded(now.Sub(l.meter.began)))),
	}
}
