package chaos

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// row is one fault's account.
type row struct {
	fault string
	order int
	runs  int // how often the fault struck

	webhooks, acked, stored, resent, twice, reordered int
	commands, applied, creates, tasks, doubled        int

	webhookRecovery, commandRecovery time.Duration

	failed bool
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
	slices.SortFunc(t.rows, func(a, b row) int { return a.order - b.order })
	var b strings.Builder
	b.WriteString("| Fault | Runs | Webhooks sent | 202 | Stored | Sent again | Twice | Out of order | " +
		"Commands sent | Applied | Creates | Tasks at factro | Twice | Recovery: webhook, command |\n" +
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range t.rows {
		name := r.fault
		if r.failed {
			name = "**FAILED** " + name
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %s, %s |\n", name, r.runs,
			r.webhooks, r.acked, r.stored, r.resent, r.twice, r.reordered, r.commands, r.applied, r.creates, r.tasks, r.doubled,
			span(r.webhookRecovery), span(r.commandRecovery))
	}
	return b.String()
}

func span(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
