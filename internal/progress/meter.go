package progress

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/plural"
)

// Bytes is the noun of a Meter that counts bytes; they are shown as KiB, MiB or GiB.
const Bytes = "byte"

// stalled is how long nothing has to happen until the rate of before tells nothing of the future any more.
const stalled = 10 * time.Second

// Meter counts what is done, and computes the rest from the times of the counts.
type Meter struct {
	what, noun  string
	done, total int64 // total is 0 as long as it is unknown
	began       time.Time
	moved       time.Time // when something was last done
}

// NewMeter begins to count at a time. what says what is going on, noun what is counted, or "" if nothing is. total is how many there
// are to do, or 0 if that is unknown.
func NewMeter(what, noun string, total int64, now time.Time) Meter {
	return Meter{what: what, noun: noun, total: max(total, 0), began: now, moved: now}
}

// Add says that so many more are done.
func (m *Meter) Add(n int64, now time.Time) {
	if n > 0 {
		m.done += n
		m.moved = now
	}
}

// Left says how many are left, where that is what is known. What came on top since then makes the total larger.
func (m *Meter) Left(left int64, now time.Time) {
	before := m.total - m.done
	if left > before {
		m.total += left - before
	}
	m.Add(before-left, now)
}

// Done and Total are what was counted. Total is 0 if it is unknown.
func (m *Meter) Done() int64 { return m.done }

// Total is how many there are, or 0.
func (m *Meter) Total() int64 {
	if m.done > m.total { // it was an estimate
		return 0
	}
	return m.total
}

// PerSecond is the rate up to now, 0 if there is none.
func (m *Meter) PerSecond(now time.Time) float64 {
	if took := now.Sub(m.began).Seconds(); took > 0 {
		return float64(m.done) / took
	}
	return 0
}

// Remaining is how long the rest takes at the rate up to now. It is not known without a total, before anything is done, and
// while nothing goes on.
func (m *Meter) Remaining(now time.Time) (time.Duration, bool) {
	rate, total := m.PerSecond(now), m.Total()
	usual := time.Duration(0) // between one and the next
	if rate > 0 {
		usual = time.Duration(float64(time.Second) / rate)
	}
	seconds := float64(total-m.done) / rate
	if rate == 0 || total == 0 || now.Sub(m.moved) > max(stalled, 2*usual) || seconds > math.MaxInt32 {
		return 0, false
	}
	return rounded(time.Duration(seconds * float64(time.Second))), true
}

// Text is the state in one line: 12 of 40 dead letters, 5/s, 6s left.
func (m *Meter) Text(now time.Time) string {
	var parts []string
	total := m.Total()
	switch {
	case m.noun == "":
	case total > 0 && m.noun == Bytes:
		parts = append(parts, size(m.done)+" of "+size(total))
	case total > 0:
		parts = append(parts, fmt.Sprintf("%d of %s", m.done, plural.Of(total, m.noun)))
	case m.noun == Bytes:
		parts = append(parts, size(m.done))
	default:
		parts = append(parts, plural.Of(m.done, m.noun))
	}
	if rate := m.PerSecond(now); rate > 0 {
		parts = append(parts, m.rate(rate))
	}
	if left, ok := m.Remaining(now); ok {
		parts = append(parts, short(left)+" left")
	} else {
		parts = append(parts, short(rounded(now.Sub(m.began)))+" so far")
	}
	return m.what + ": " + strings.Join(parts, ", ")
}

func (m *Meter) rate(perSecond float64) string {
	switch {
	case m.noun == Bytes:
		return size(int64(perSecond)) + "/s"
	case perSecond >= 10:
		return fmt.Sprintf("%.0f/s", perSecond)
	case perSecond >= 0.1:
		return fmt.Sprintf("%.1f/s", perSecond)
	}
	return fmt.Sprintf("%.1f/min", perSecond*60)
}

func size(n int64) string {
	for _, unit := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= unit.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

// rounded is a duration as exactly as an estimate is read.
func rounded(d time.Duration) time.Duration {
	switch {
	case d < 2*time.Minute:
		return d.Round(time.Second)
	case d < time.Hour:
		return d.Round(10 * time.Second)
	}
	return d.Round(time.Minute)
}

// short leaves out the zeros at the end: 3m and not 3m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
