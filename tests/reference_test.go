//go:build !race

// The race detector would see 226 short programs start and end, which takes minutes and shows nothing; the same bridge
// runs under it in all other tests.

package tests

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	factroapi "github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// TestReferenceLines types every line of the reference documentation that calls the bridge, as it stands there, into a
// shell beside a running bridge, and wants the operation to be carried out at factro. The lines for the nats command are
// typed in the module that has it.
func TestReferenceLines(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{Examples: true})
	newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"demo": f.url}}).start()
	env := append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "NATS_URL="+n.URL())

	typed := map[string]bool{}
	for _, line := range referenceLines(t, regexp.MustCompile(`^bridge (?:send|query) (\w+)`)) {
		f.Reset()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		cmd := exec.CommandContext(ctx, "bash", "-c", line.text)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil {
			t.Errorf("%s: %s: %v\n%s", line.page, line.text, err, out)
			continue
		}
		var got []sim.Request
		waitFor(t, line.text, func() bool { got = f.Requests(); return len(got) > 0 })
		if len(got) != 1 || got[0].Operation != line.operation || got[0].Status/100 != 2 {
			t.Errorf("%s: %s: factro got %+v\n%s", line.page, line.text, got, out)
		}
		typed[line.operation] = true
	}
	for _, op := range factroapi.Operations() {
		if !typed[op.Name] {
			t.Errorf("no line for %s was typed", op.Name)
		}
	}
}

type referenceLine struct{ page, text, operation string }

// referenceLines returns the lines of the shell blocks in the reference that match; the first group is the operation.
func referenceLines(t testing.TB, form *regexp.Regexp) []referenceLine {
	t.Helper()
	pages, err := filepath.Glob("../docs/reference/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("there is no reference: %v", err)
	}
	var lines []referenceLine
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		inShell := false
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			if strings.HasPrefix(line, "```") {
				inShell = line == "```sh"
			} else if m := form.FindStringSubmatch(line); inShell && m != nil {
				lines = append(lines, referenceLine{filepath.Base(page), line, m[1]})
			}
		}
	}
	return lines
}
