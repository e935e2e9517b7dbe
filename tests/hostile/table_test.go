package hostile

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// row is one attack's account.
type row struct {
	test, attack  string
	before, after figures // of beta
	memory        int     // most that a bridge held
	stop          time.Duration
	failed        bool
}

// rows is the table of a run.
type rows struct {
	mu   sync.Mutex
	rows []row
}

var table rows

func (t *rows) add(r row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, r)
}

func (t *rows) markdown() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rows) == 0 {
		return ""
	}
	slices.SortFunc(t.rows, func(a, b row) int { return strings.Compare(a.test, b.test) })
	var b strings.Builder
	b.WriteString("| Test | Attack | Webhooks of beta: median, slowest; before -> after | Commands of beta | Peak memory | Stop |\n" +
		"|---|---|--:|--:|--:|--:|\n")
	for _, r := range t.rows {
		name := r.test
		if r.failed {
			name = "**FAILED** " + name
		}
		fmt.Fprintf(&b, "| %s | %s | %s -> %s | %s -> %s | %s | %.1f s |\n", name, r.attack, span(r.before.webhooks), span(r.after.webhooks),
			span(r.before.commands), span(r.after.commands), mebibytes(r.memory), r.stop.Seconds())
	}
	return b.String()
}

// span is the median and the slowest of figures in ascending order.
func span(took []time.Duration) string {
	if len(took) == 0 {
		return "-"
	}
	return fmt.Sprintf("%d, %d ms", took[len(took)/2].Milliseconds(), most(took).Milliseconds())
}

func most(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	return took[len(took)-1]
}
