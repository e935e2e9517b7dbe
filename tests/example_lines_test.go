package tests

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// TestExampleLines types each line that the documents and the help show of send and query, and for the nats command, beside a
// running bridge, and wants the operation to be carried out at the simulated factro: so its ids are some that exist there. The
// lines of docs/reference have a test of their own.
func TestExampleLines(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{Examples: true})
	newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"demo": f.url}}).start()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "plan.pdf"), "%PDF-1.7")
	env := append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "NATS_URL="+n.URL())

	ours := regexp.MustCompile(`(?m)^ *(?:docker compose exec bridge /bridge|go run \./cmd/bridge|\./bridge|bridge) ((?:send|query) ([a-z]\w+)(?:\\\n|[^\n#])*)`)
	theirs := regexp.MustCompile(`(?m)^ *nats (pub|req) (factro\.\w+\.[a-z]+\.\w+\.(\w+)) '([^'\n]*)'`)
	found := 0
	for from, text := range exampleTexts(t) {
		for _, m := range ours.FindAllStringSubmatch(text, -1) {
			found++
			line := "bridge " + strings.ReplaceAll(m[1], "--cloud acme", "--cloud demo")
			if !strings.Contains(line, `{"externalkey"`) { // it needs what the line before it has made
				f.Reset()
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			cmd := exec.CommandContext(ctx, "bash", "-c", line)
			cmd.Env, cmd.Dir = env, dir
			out, err := cmd.CombinedOutput()
			cancel()
			if err != nil {
				t.Errorf("%s: %s: %v\n%s", from, line, err, out)
				continue
			}
			if strings.Contains(line, "--not-before") {
				wantDelayed(t, n, from+": "+line)
				continue
			}
			wantCarriedOut(t, f, from+": "+line, m[2])
		}
		for _, m := range theirs.FindAllStringSubmatch(text, -1) {
			found++
			f.Reset()
			askedByNATS(t, n.URL(), m[1], m[2], m[4], "")
			wantCarriedOut(t, f, from+": "+m[0], m[3])
		}
	}
	if found < 8 {
		t.Errorf("found %d lines only: the search is broken", found)
	}
}

// wantDelayed waits until a command waits for its time. Several lines send the same one.
func wantDelayed(t testing.TB, n *natstest.Server, line string) {
	t.Helper()
	_, js := n.Connect(t)
	delayed, err := js.Stream(t.Context(), topology.DelayedStream(prefix, "demo"))
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, line, func() bool {
		info, err := delayed.Info(t.Context())
		return err == nil && info.State.Msgs > 0
	})
}

func wantCarriedOut(t testing.TB, f *factro, line, operation string) {
	t.Helper()
	var got []sim.Request
	ofIt := func(r sim.Request) bool { return r.Operation == operation }
	waitFor(t, line, func() bool { got = f.Requests(); return slices.ContainsFunc(got, ofIt) })
	if i := slices.IndexFunc(got, ofIt); got[i].Status/100 != 2 {
		t.Errorf("%s: factro got %+v", line, got)
	}
}

// exampleTexts are the documents but for the reference, and the help of the commands, by their names.
func exampleTexts(t testing.TB) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/de/*.md", "../docs/playbooks/*.md", "../tests/*/README.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: nothing is found, %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			texts[file] = string(text)
		}
	}
	for _, command := range []string{"send", "query"} {
		help, _, _ := bridgeCommand(t, command, "--help")
		texts["bridge "+command+" --help"] = help
	}
	return texts
}
