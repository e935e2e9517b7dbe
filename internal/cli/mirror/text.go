package mirror

import (
	"fmt"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/mirror"
	"github.com/factro-bridge/factro-bridge/internal/plural"
)

// text is a report for people.
func text(r mirror.Report) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(&b, r.Cloud)
	line("resources", "%s", strings.Join(r.Resources, ", "))
	if r.Complete.IsZero() {
		line("complete", "not yet")
	} else {
		line("complete", "since %s", at(r.Complete))
		line("verified", "%s", at(r.Verified))
	}
	line("waiting", "%s", waiting(r))
	if r.Sweep != nil {
		line("now", "%s", running(r))
	}
	if last := r.Last; last != nil {
		line("last", "%s: %s in %s, %s, %s", last.Kind, plural.Of(int64(last.Objects), "object"), plural.Of(int64(last.Lists), "list"),
			differed(last.Differences), last.Ended.Sub(last.Started).Round(time.Second))
		for _, name := range last.Examples {
			line("", "%s", name)
		}
		if left := last.Differences - len(last.Examples); left > 0 && len(last.Examples) > 0 {
			line("", "and %d more", left)
		}
	}
	return b.String()
}

func differed(n int) string {
	if n == 0 {
		return "none differed"
	}
	return fmt.Sprintf("%d differed", n)
}

func waiting(r mirror.Report) string {
	if r.Backlog == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s, the oldest for %s", plural.Of(int64(r.Backlog), "object"), seconds(r.BacklogAge))
}

// running is the sweep that goes on, in one line.
func running(r mirror.Report) string {
	s := r.Sweep
	return fmt.Sprintf("%s of %s: %s, %.0f/s, %s of this resource left, about %s",
		s.Kind, s.Resource, plural.Of(int64(s.Objects), "object"), r.ObjectsPerSecond, plural.Of(int64(s.ListsLeft), "list"), seconds(r.SecondsLeft))
}

func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func seconds(n float64) string {
	return time.Duration(n * float64(time.Second)).Round(time.Second).String()
}
