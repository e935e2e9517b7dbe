package echo_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/mirror/echo"
)

// judged is a change with its mark, and the writes that it is made of.
type judged struct {
	interval      []version
	before, after map[string]json.RawMessage
	changed       []string
	mark          echo.Mark
	marked        bool
}

// tally counts changes and marks.
type tally struct {
	changes      int
	marks, right map[echo.Certainty]int
	// overwritten are right marks where somebody else wrote one of the fields last, with the same value. preceded are those where
	// somebody else had written that value shortly before.
	overwritten, preceded map[echo.Certainty]int
	ours                  int // changes that only commands of one sender made
	oursMarked            int
	single                int // those that one command made whose answer has the object, or which deleted it
	singleExact           int
	timeless              int // those of objects that do not say when they were changed, and how many of them are marked
	timelessMarked        int
	reported              int
}

func (v *version) wrote(name string) bool {
	return slices.Contains(v.touched, "*") || slices.Contains(v.touched, name)
}

func (t *tally) judge(tb testing.TB, j judged) {
	tb.Helper()
	if t.marks == nil {
		t.marks, t.right = map[echo.Certainty]int{}, map[echo.Certainty]int{}
		t.overwritten, t.preceded = map[echo.Certainty]int{}, map[echo.Certainty]int{}
	}
	t.changes++
	if j.ours() {
		t.ours++
		if j.marked {
			t.oursMarked++
		}
		switch {
		case !j.single():
		case j.timeless():
			t.timeless++
			if j.marked {
				t.timelessMarked++
			}
		default:
			t.single++
			if j.marked && j.mark.Certainty == echo.Exact {
				t.singleExact++
			}
		}
	}
	if !j.marked {
		return
	}
	t.marks[j.mark.Certainty]++
	if why := j.wrong(); why != "" {
		report := tb.Logf
		if j.mark.Certainty == echo.Exact {
			report = tb.Errorf
		}
		if t.reported++; t.reported < 20 {
			report("%s marks %v wrongly: %s; changed %v\n%s", j.mark.Certainty, j.mark, why, j.changed, j.history())
		}
		return
	}
	t.right[j.mark.Certainty]++
	if !j.lastIs(func(i int, name string) bool { return j.interval[i].wrote(name) }) {
		t.overwritten[j.mark.Certainty]++
	}
	if !j.lastIs(j.altered) {
		t.preceded[j.mark.Certainty]++
	}
}

func (j *judged) history() string {
	out := ""
	for _, v := range j.interval {
		out += fmt.Sprintf("  %q %q %v gone %t\n", v.sender, v.command, v.touched, v.gone)
	}
	return out
}

// wrong says why a mark is wrong: its command is not among the writes, or what changed has other values than the commands of the
// sender wrote. An exact one is wrong also if anybody wrote after the command.
func (j *judged) wrong() string {
	at := -1
	for i, v := range j.interval {
		if v.command == j.mark.Cause && v.sender == j.mark.Sender {
			at = i
		}
	}
	if at < 0 {
		return "the command is not in the change"
	}
	if j.mark.Certainty == echo.Exact && at != len(j.interval)-1 {
		return "somebody wrote after it"
	}
	for _, name := range j.changed {
		if !slices.ContainsFunc(j.interval, func(v version) bool {
			return j.byMarked(v) && v.wrote(name) && bytes.Equal(v.state[name], j.after[name])
		}) {
			return "the sender did not write " + name
		}
	}
	return ""
}

// byMarked says whether a write is by the marked command, or another one of its sender.
func (j *judged) byMarked(v version) bool {
	return v.command != "" && (v.command == j.mark.Cause || v.sender != "" && v.sender == j.mark.Sender)
}

// lastIs says whether for each field that changed the last of some writes was by the marked sender.
func (j *judged) lastIs(one func(i int, name string) bool) bool {
	for _, name := range j.changed {
		last := -1
		for i := range j.interval {
			if one(i, name) {
				last = i
			}
		}
		if last < 0 || !j.byMarked(j.interval[last]) {
			return false
		}
	}
	return true
}

// altered says whether a write gave a field another value.
func (j *judged) altered(i int, name string) bool {
	before := j.before
	if i > 0 {
		before = j.interval[i-1].state
	}
	return !bytes.Equal(before[name], j.interval[i].state[name])
}

// ours says whether only commands of one sender are in the change.
func (j *judged) ours() bool {
	for _, v := range j.interval {
		if v.command == "" || v.command != j.interval[0].command && (v.sender == "" || v.sender != j.interval[0].sender) {
			return false
		}
	}
	return true
}

// single says whether one command made the change, and factro's answer can prove it.
func (j *judged) single() bool {
	return len(j.interval) == 1 && (j.interval[0].answered || j.interval[0].gone)
}

// timeless says whether an object that changed does not say when.
func (j *judged) timeless() bool {
	return j.before != nil && j.after != nil && j.after["changeDate"] == nil
}

func (t *tally) String() string {
	part := func(n, of int) string {
		if of == 0 {
			return "none"
		}
		return fmt.Sprintf("%.4f (%d of %d)", float64(n)/float64(of), n, of)
	}
	return fmt.Sprintf("%d changes\nprecision of exact %s\nprecision of likely %s\nright, although somebody else wrote the same value of a field afterwards: exact %d, likely %d; or before: exact %d, likely %d\n"+
		"recall of exact, of changes by one command that answers %s\nrecall of likely, of such changes of objects without a time of change %s\nrecall of any mark, of changes by commands of one sender %s",
		t.changes, part(t.right[echo.Exact], t.marks[echo.Exact]), part(t.right[echo.Likely], t.marks[echo.Likely]),
		t.overwritten[echo.Exact], t.overwritten[echo.Likely], t.preceded[echo.Exact], t.preceded[echo.Likely],
		part(t.singleExact, t.single), part(t.timelessMarked, t.timeless), part(t.oursMarked, t.ours))
}

var (
	all  = flag.Bool("echo", false, "measure marks with more than 20,000 changes")
	seed = flag.Uint64("seed", 0, "measure with other random `numbers`: it is added to each seed")
)

// TestMeasure measures marks with the simulator: what programs and people write at once, as a mirror reads it later.
func TestMeasure(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		worldConfig
		leastExact, leastLikely float64
	}{
		"people edit other objects": {worldConfig{seed: 1, changes: 12000, objects: 100, together: 0.01, people: 0.4, same: 0.2, late: 0.02, lost: 0.02}, 0.9, 0.99},
		"people edit the same":      {worldConfig{seed: 2, changes: 8000, objects: 6, together: 0.2, people: 0.5, same: 0.5, late: 0.05, lost: 0.1}, 0.6, 0.95},
		"reads lag behind":          {worldConfig{seed: 4, changes: 3000, objects: 20, together: 0.1, people: 0.4, same: 0.4, late: 0.02, lost: 0.05, lag: 1200 * time.Millisecond}, 0.8, 0.95},
		"nobody else":               {worldConfig{seed: 3, changes: 3000, objects: 40, same: 0.2, lost: 0.02}, 0.95, 0.99},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !*all {
				tt.changes /= 40
			}
			tt.seed += *seed
			got := newWorld(t, tt.worldConfig).run()
			t.Logf("%s", got.String())
			if exact := ratio(got.right[echo.Exact], got.marks[echo.Exact]); exact != 1 {
				t.Errorf("the precision of exact is %v, want 1", exact)
			}
			if recall := ratio(got.singleExact, got.single); recall < tt.leastExact {
				t.Errorf("the recall of exact is %v, want %v", recall, tt.leastExact)
			}
			if likely := ratio(got.right[echo.Likely], got.marks[echo.Likely]); likely < tt.leastLikely {
				t.Errorf("the precision of likely is %v, want %v", likely, tt.leastLikely)
			}
		})
	}
}

func ratio(n, of int) float64 { return float64(n) / float64(max(of, 1)) }
