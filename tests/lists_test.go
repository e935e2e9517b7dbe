package tests

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// lettersOf makes so many dead letters.
func (p *postbox) lettersOf(n int) {
	p.t.Helper()
	for i := range n {
		send(p.t, p.js, "acme", "createTask", fmt.Sprintf("falsch-%d", i+1), `{"titel":"Prüfung"}`)
	}
	waitFor(p.t, "the dead letters", func() bool { return len(p.list()) == n })
}

// A long list shows its newest rows and says what is left out, and what takes long tells how far it is, beside what is printed.
func TestManyDeadLetters(t *testing.T) {
	t.Parallel()
	p := newPostbox(t)
	p.lettersOf(25)
	out, _, _ := p.dead("list")
	// Which of them are the newest depends on which was given up last: they are carried out side by side.
	names := func(out string) (all []string) {
		for row := range strings.Lines(out) {
			all = append(all, strings.Fields(row)[0])
		}
		return all
	}
	all, _, _ := p.dead("list", "--all")
	rows, newest := names(out), names(all)[1:]
	if len(rows) != 22 || len(newest) != 25 || !slices.Equal(rows[1:21], newest[5:]) || !strings.HasSuffix(out, "\n… and 5 older; --all shows them\n") {
		t.Errorf("list prints\n%s", out)
	}
	for flag, want := range map[string]int{"--all": 26, "--limit=7": 8, "--since=1h": 22, "--json": 25} {
		if out, errOut, code := p.dead("list", flag); code != 0 || strings.Count(out, "\n") != want || errOut != "" {
			t.Errorf("list %s prints %d lines, want %d\n%s%s", flag, strings.Count(out, "\n"), want, out, errOut)
		}
	}
	out, errOut, code := p.dead("redrive", "--code", "invalid", "--limit", "4", "--rate", "1", "--keep")
	if code != 0 || strings.Count(out, "sent again") != 4 || strings.Contains(out, "send dead letters") {
		t.Errorf("redrive: exit code %d\n%s%s", code, out, errOut)
	}
	if !regexp.MustCompile(`^send dead letters again: [23] of 4 dead letters, [01]\.\d/s, [12]s left\n$`).MatchString(errOut) {
		t.Errorf("redrive tells of its progress: %q", errOut)
	}
	if _, errOut, _ = p.dead("redrive", "--code", "invalid", "--limit", "4", "--rate", "1", "--keep", "--quiet"); errOut != "" {
		t.Errorf("redrive --quiet: %q", errOut)
	}
}

// completed is what the shell is offered, without descriptions.
func completed(t testing.TB, args ...string) (offers []string, directive string) {
	t.Helper()
	out, _, code := bridgeCommand(t, append([]string{"__completeNoDesc"}, args...)...)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if code != 0 || len(lines) == 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, out)
	}
	return lines[:len(lines)-1], lines[len(lines)-1]
}

// Names that only the broker knows are completed, from it or from the configuration.
func TestCompletion(t *testing.T) {
	t.Parallel()
	p := newPostbox(t)
	p.lettersOf(3)
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "plan.pdf"), "x")
	url := "--nats=" + p.n.URL()
	const noFiles, noFilesNoSpace, files = ":4", ":6", ":0"
	for line, want := range map[string]struct {
		offers    string
		directive string
	}{
		"dead show " + url + " acme/":                     {"acme/1 acme/2 acme/3", noFiles},
		"dead show " + url + " --cloud=acme ''":           {"1 2 3", noFiles},
		"dead drop " + url + " acme/2 acme/":              {"acme/1 acme/3", noFiles},
		"dead redrive " + url + " falsch-":                {"falsch-1 falsch-2 falsch-3", noFiles},
		"dead redrive " + url + " other/":                 {"", noFiles},
		"dead show " + url + " acme/1 ''":                 {"", noFiles},
		"dead list " + url + " --id ''":                   {"falsch-1 falsch-2 falsch-3", noFiles},
		"dead list " + url + " --cloud ''":                {"acme", noFiles},
		"send " + url + " --cloud ''":                     {"acme", noFiles},
		"canary --config=" + p.b.configFile + " --cloud ": {"acme", noFiles},
		"dead list --code amb":                            {"ambiguous", noFiles},
		"dead list --kind ''":                             {"command webhook", noFiles},
		"dead list --since ''":                            {"1h 24h 7d", noFiles},
		"tail ''":                                         {"events results dead changes", noFiles},
		"sim --fault cut-a":                               {"cut-after", noFilesNoSpace},
		"sim --fault latency,op=createTaskD":              {"latency,op=createTaskDocument", noFilesNoSpace},
		"sim --fault latency,de":                          {"latency,delay=", noFilesNoSpace},
		"sim --variant void":                              {"voidBody=true", noFilesNoSpace},
		"sim --webhook TaskCr":                            {"TaskCreated,", noFilesNoSpace},
		"send createTaskDocument file=@" + folder + "/p":  {"file=@" + folder + "/plan.pdf", noFilesNoSpace},
		"run ''":               {"", noFiles},
		"config check ''":      {"", files},
		"contract diff ''":     {"", files},
		"dead list --creds ''": {"", files},
		"dead list --user ''":  {"", noFiles},
		"run --config ''":      {"yaml yml", ":8"},
		"sim --state ''":       {"", ":16"},
	} {
		args := strings.Fields(line)
		for i := range args {
			args[i] = strings.Trim(args[i], "'")
		}
		if strings.HasSuffix(line, " ") {
			args = append(args, "")
		}
		offers, directive := completed(t, args...)
		begun := args[len(args)-1]
		var fit []string // as the shell chooses
		for _, o := range offers {
			if strings.HasPrefix(o, begun) {
				fit = append(fit, o)
			}
		}
		if strings.HasPrefix(line, "dead ") { // dead letters about different things come in any order
			slices.Sort(fit)
		}
		if strings.Join(fit, " ") != want.offers || directive != want.directive {
			t.Errorf("%s: %v %s, want %v %s", line, fit, directive, want.offers, want.directive)
		}
	}
}

// A shell that completes waits about a second at most, whatever is at the address, and nothing is printed over its line.
func TestCompletionNeverHangs(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	go func() { // ends with the listener
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
	}()
	for _, args := range [][]string{
		{"dead", "show", "--nats", "nats://" + silent.Addr().String(), ""},
		{"send", "--nats", "nats://" + silent.Addr().String(), "--cloud", ""},
		{"dead", "drop", "--nats", "nats://127.0.0.1:1", ""},
		{"tail", "--nats", "::", "--cloud", ""},
		{"dead", "list", "--config", os.DevNull, "--cloud", ""},
		{"canary", "--config", "nowhere.yaml", "--cloud", ""},
		{"dead", "list", "--user", "ann", "--id", ""},
	} {
		began := time.Now()
		out, errOut, code := bridgeCommand(t, append([]string{"__complete"}, args...)...)
		if took := time.Since(began); took > 5*time.Second { // 0.8 s, and a machine that is busy with other tests
			t.Errorf("%v took %s", args, took)
		}
		if out != ":4\n" || code != 0 || strings.Count(errOut, "\n") != 1 {
			t.Errorf("%v: exit code %d: %s%s", args, code, out, errOut)
		}
	}
}
