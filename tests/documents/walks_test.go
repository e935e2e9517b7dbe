package documents

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

// A webhook and a command are followed through the code in at most ten steps, each of which names a file of Go. TestLinks
// says whether the file is there.
func TestWalks(t *testing.T) {
	t.Parallel()
	const mostSteps = 10
	page := read(t, "docs/architecture.md")
	for _, title := range []string{"The walk of a webhook", "The walk of a command"} {
		_, rest, found := strings.Cut(page, "\n## "+title+"\n")
		if !found {
			t.Errorf("docs/architecture.md has no section %q", title)
			continue
		}
		section, _, _ := strings.Cut(rest, "\n## ")
		steps := step.FindAllString(section, -1)
		if len(steps) == 0 || len(steps) > mostSteps {
			t.Errorf("%s has %d steps, want 1 to %d", title, len(steps), mostSteps)
		}
		for _, s := range steps {
			m := link.FindStringSubmatch(s)
			if m == nil || path.Ext(m[1]) != ".go" {
				t.Errorf("%s: this step links to no file of Go first: %s", title, s)
			}
		}
	}
}

// step is an item of a numbered list with its further lines.
var step = regexp.MustCompile(`(?m)^\d+\. .*(?:\n   .*)*`)
