package pace

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// row is what a case has measured.
type row struct {
	name     string
	commands int
	took     time.Duration // from the first call to the end of the last one
	part     float64       // of the time that the budget allows, in percent
	refused  int
	used     float64 // of what others left of the windows that are over, in percent
	atOnce   int
	truths   truths
}

// rows are all of them.
type rows struct {
	mu  sync.Mutex
	all []row
}

var table rows

func (r *rows) add(one row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, one)
}

func (r *rows) markdown() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.all, func(a, b row) int { return strings.Compare(a.name, b.name) })
	var b strings.Builder
	b.WriteString("| case | commands | took | of the time allowed | answers 429 | windows used | calls at once, at most | retryAt within 20 % |\n|---|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, one := range r.all {
		fmt.Fprintf(&b, "| %s | %d | %.1f s | %.1f %% | %d | %.1f %% | %d | %.1f %% of %d |\n", one.name, one.commands, one.took.Seconds(), one.part, one.refused, one.used,
			one.atOnce, 100*one.truths.part(), one.truths.all)
	}
	return b.String()
}

// truths are how many times that senders were told came true.
type truths struct{ all, true int }

func (t truths) part() float64 { return float64(t.true) / float64(max(t.all, 1)) }

// truthOf compares what senders were told with when their commands were called. A time comes true if the wait is not more than a
// fifth longer or shorter than was said.
func (s *site) truthOf() (all truths) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type key struct {
		code  string
		first bool
		wait  string
	}
	by, told := map[key]truths{}, map[string]bool{}
	for _, n := range s.told {
		called := s.factro.called(n.id)
		first := !told[n.id]
		told[n.id] = true
		if n.retryAt.IsZero() || called.IsZero() {
			continue
		}
		said, was := n.retryAt.Sub(n.at), called.Sub(n.at)
		k := key{n.code, first, "under 10s"}
		switch {
		case was > 5*time.Minute:
			k.wait = "over 5m"
		case was > time.Minute:
			k.wait = "1m to 5m"
		case was > 10*time.Second:
			k.wait = "10s to 1m"
		}
		count := by[k]
		count.all++
		all.all++
		if (was - said).Abs() <= min(said, was)/5 {
			count.true++
			all.true++
		} else if count.all-count.true <= 12 {
			s.t.Logf("untrue: %s, %s: %s said, %s it was, told at %s, %s after it was stored", n.id, n.code, said.Round(100*time.Millisecond), was.Round(100*time.Millisecond), n.at.Format("15:04:05.0"), n.at.Sub(s.sent[n.id]).Round(100*time.Millisecond))
		}
		by[k] = count
	}
	for k, count := range by {
		s.t.Logf("retryAt of %+v: %d of %d within 20 %% (%.1f %%)", k, count.true, count.all, 100*count.part())
	}
	return all
}

// silent are the commands that waited longer than a bound and whose senders heard nothing.
func (s *site) silent(bound time.Duration) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := map[string]bool{}
	for _, n := range s.told {
		told[n.id] = true
	}
	for id, sent := range s.sent {
		called := s.factro.called(id)
		if !told[id] && !called.IsZero() && called.Sub(sent) > bound {
			n++
		}
	}
	return n
}

// windows sums up the windows of factro's limiter that are over, and logs all.
func (s *site) windows(quota int) (used float64, refused, most int) {
	ours, left := 0, 0
	all := s.factro.Windows()
	for i, w := range all {
		s.t.Logf("window %d: %d requests, %d of others, %d refused, began %s", i+1, w.Requests, w.Others, w.Refused, w.Began.Format("15:04:05.000"))
		refused += w.Refused
		most = max(most, w.Refused)
		if i < len(all)-1 {
			ours += w.Requests - w.Refused
			left += quota - w.Others
		}
	}
	return 100 * float64(ours) / float64(max(left, 1)), refused, most
}

func percentile(t testing.TB, name string, all []time.Duration) {
	t.Helper()
	if len(all) == 0 {
		t.Errorf("%s: none", name)
		return
	}
	slices.Sort(all)
	t.Logf("%s: %d, median %s, at most %s", name, len(all), all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
}
