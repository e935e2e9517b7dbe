package interop

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// TestReferenceLines types every line of the reference documentation that calls the nats command, as it stands there,
// into a shell, and wants the operation to be carried out at factro.
func TestReferenceLines(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	pages, err := filepath.Glob("../../docs/reference/*.md")
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`(?m)^nats (?:pub|req) factro\.(?:command|query)\.demo\.[a-z-]+\.(\w+) .*$`)
	typed := map[string]bool{}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range form.FindAllStringSubmatch(string(text), -1) {
			s.factro.Reset()
			cmd, stdout, stderr := s.program(t, "sh", "-c", line[0])
			cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(natsBinary)+":"+os.Getenv("PATH"))
			if err := cmd.Run(); err != nil {
				t.Errorf("%s: %s: %v\n%s%s", page, line[0], err, stdout, stderr)
				continue
			}
			var got []sim.Request
			waitFor(t, line[0], func() bool {
				got = slices.DeleteFunc(s.factro.Requests(), func(r sim.Request) bool { // that of reconciliation is none of the line's
					return r.Operation == "listWebhookPayloads" && r.Operation != line[1]
				})
				return len(got) > 0
			})
			if len(got) != 1 || got[0].Operation != line[1] || got[0].Status/100 != 2 {
				t.Errorf("%s: %s: factro got %+v\n%s%s", page, line[0], got, stdout, stderr)
			}
			typed[line[1]] = true
		}
	}
	for _, op := range factro.Operations() {
		if !typed[op.Name] {
			t.Errorf("no line for %s was typed", op.Name)
		}
	}
}
