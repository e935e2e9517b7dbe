package doctor_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/doctor"
)

var update = flag.Bool("update", false, "write the tables of docs/doctor.md")

const (
	page = "../../docs/doctor.md"
	mark = "<!-- The tables below are written by: go test ./internal/doctor -run TestReference -update -->\n"
	next = "## Where to go next\n"
)

// The page has all checks, as the table has them.
func TestReference(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), mark)
	_, after, ends := strings.Cut(rest, next)
	if !ok || !ends {
		t.Fatalf("%s has no place for the tables", page)
	}
	want := before + mark + tables() + next + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s is out of date; run go test ./internal/doctor -run TestReference -update", page)
	}
	if !strings.Contains(before, fmt.Sprintf("at most %d requests", doctor.MostRequests)) {
		t.Errorf("%s does not say that there are at most %d requests", page, doctor.MostRequests)
	}
}

var groups = map[string]string{
	"config": "Configuration", "files": "Files", "nats": "NATS", "factro": "factro", "webhook": "Webhooks", "telemetry": "Telemetry",
}

// tables are those of all groups.
func tables() string {
	var b strings.Builder
	for _, group := range doctor.Groups() {
		fmt.Fprintf(&b, "\n## %s: `--check %s`\n\n| Check | Good means | Otherwise | What to do |\n|---|---|---|---|\n", groups[group], group)
		for _, c := range doctor.Checks() {
			if c.Group == group {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", c.Name, c.Title, c.Why, c.Help)
			}
		}
	}
	return b.String() + "\n"
}
