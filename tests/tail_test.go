package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// TestTail: tail prints what was selected, with the title of the object where the mirror has it.
func TestTail(t *testing.T) {
	t.Parallel()
	m := startMirror(t, sim.Config{Examples: true}, "mirror: {settle: 50ms}")
	task := func(title string) (id string) {
		return fmt.Sprint(m.call(http.MethodPost, "/tasks", map[string]any{"title": title, "targetParentId": m.f.demo.Package})["id"])
	}
	other, id := task("eine andere"), task("Prüfung \x1b[31m")
	m.inStep()
	m.call(http.MethodPut, "/tasks/"+id, map[string]any{"title": "Prüfung 2 \x1b[31m"})
	m.inStep()
	lines := func(want string, args ...string) (all []string) {
		t.Helper()
		out := tail(t, want, append([]string{"tail", "--since", "1h", "--config", m.b.configFile}, args...)...)
		return strings.Split(out, "\n")
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"everything":           {nil, `.updated  "Prüfung 2  [31m"`},
		"of an object":         {[]string{"--entity", id, "--resource", "task"}, ".event.acme.task." + id + ".TaskCreated"},
		"an action":            {[]string{"events", "--action", "TaskCreated", "--grep", id}, ".TaskCreated"},
		"a title":              {[]string{"events", "changes", "--grep", "eine andere"}, other},
		"another kind":         {[]string{"changes", "--action", "updated"}, id + ".updated"},
		"a filter":             {[]string{"events", "--filter", "factro.event.acme.task." + id + ".TaskCreated"}, id},
		"without titles":       {[]string{"changes", "--entity", id, "--no-titles"}, id + ".created"},
		"colors":               {[]string{"changes", "--entity", id, "--color", "always"}, "\x1b[34mfactro.change.acme.task." + id + ".created\x1b[0m"},
		"as JSON":              {[]string{"changes", "--entity", id, "--json"}, `"title":"Prüfung 2 `},
		"all kinds, an action": {[]string{"--action", "created", "--entity", id}, ".created"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := lines(tt.want, tt.args...)
			if len(got) == 0 || !strings.Contains(got[0], tt.want) {
				t.Errorf("%v prints %q", tt.args, got)
			}
			if name == "as JSON" && !json.Valid([]byte(got[0])) {
				t.Errorf("%q is no JSON", got)
			}
			if name == "without titles" && strings.Contains(got[0], "Prüfung") {
				t.Errorf("%q has a title", got)
			}
		})
	}
	const some = 5
	var all []string
	follow(t, func(line string) bool {
		all = append(all, line)
		return len(all) == some
	}, "tail", "--since", "1h", "--config", m.b.configFile, "--json")
	if len(all) != some {
		t.Errorf("it prints %d lines, want %d at least", len(all), some)
	}
	last := time.Time{}
	for n, line := range all {
		var l struct{ Time time.Time }
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Time.Before(last) {
			t.Errorf("line %d is of %s, the one before it of %s: %v", n, l.Time, last, err)
		}
		last = l.Time
	}
	for _, wrong := range [][]string{{"--grep", "("}, {"--color", "blue"}, {"--filter", "a.b", "--entity", "x"}, {"everything"}} {
		if _, errOut, code := bridgeCommand(t, append([]string{"tail", "--config", m.b.configFile}, wrong...)...); code != 2 {
			t.Errorf("%q: exit code %d: %s", wrong, code, errOut)
		}
	}
}
