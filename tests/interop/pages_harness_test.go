package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// language is one whose page in docs has programs.
type language struct {
	name, interpreter, suffix string
	block                     *regexp.Regexp // a program: its name and its text
	absent                    *string        // why its programs cannot run, or empty
}

var languages = []*language{
	{"javascript", "node", ".mjs", regexp.MustCompile("(?ms)^```js\n(// ([a-z]+\\.mjs): .*?\n)```$"), &nodeAbsent},
	{"python", "python3", ".py", regexp.MustCompile("(?ms)^```python\n(# ([a-z]+\\.py): .*?\n)```$"), &pythonAbsent},
}

// inEachLanguage runs a test with the programs of each page.
func inEachLanguage(t *testing.T, test func(t *testing.T, l *language)) {
	t.Helper()
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			if *l.absent != "" {
				t.Skipf("DID NOT RUN: %s: %s, so nothing is proven about docs/%s.md", l.interpreter, *l.absent, l.name)
			}
			test(t, l)
		})
	}
}

// folder saves the programs of the page as its reader would.
func (l *language) folder(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/" + l.name + ".md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var names []string
	for _, m := range l.block.FindAllSubmatch(page, -1) {
		names = append(names, strings.TrimSuffix(string(m[2]), l.suffix))
		if err := os.WriteFile(filepath.Join(dir, string(m[2])), m[1], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(names)
	if want := []string{"command", "factro", "query", "review", "subscribe", "upload"}; !slices.Equal(names, want) {
		t.Fatalf("docs/%s.md has the programs %v, want %v", l.name, names, want)
	}
	if l.interpreter == "node" {
		modules, err := filepath.Abs("js/node_modules")
		if err == nil {
			err = os.Symlink(modules, filepath.Join(dir, "node_modules"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// page is the programs of a page, saved in a folder, and the site that they talk to.
type page struct {
	*site
	*language
	dir string
	env []string
}

func (s *site) page(t *testing.T, l *language) *page {
	t.Helper()
	return &page{s, l, l.folder(t), nil}
}

// start prepares a program of the page.
func (p *page) start(t *testing.T, name string, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	cmd, stdout, stderr = p.site.program(t, p.interpreter, append([]string{name + p.suffix}, args...)...)
	cmd.Dir, cmd.Env = p.dir, append(cmd.Env, p.env...)
	return cmd, stdout, stderr
}

// run runs a program of the page to its end.
func (p *page) run(t *testing.T, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd, out, errOut := p.start(t, name, args...)
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatalf("%s: %v\n%s%s", name, err, out, errOut)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// applied runs a program of the page that prints the result of a command.
func (p *page) applied(t *testing.T, name string, args ...string) map[string]any {
	t.Helper()
	out, errOut, code := p.run(t, name, args...)
	if code != 0 {
		t.Fatalf("%s %s: exit code %d\n%s%s", name, args, code, out, errOut)
	}
	got := objects(t, out)
	if len(got) != 1 || got[0]["outcome"] != "applied" {
		t.Fatalf("%s %s: got %v", name, args, got)
	}
	return got[0]
}

// lines is a program that runs, and the JSON objects that it prints, one a line.
type lines struct {
	cmd    *exec.Cmd
	out    *bufio.Scanner
	stderr *bytes.Buffer
}

func (p *page) launch(t *testing.T, name string, args ...string) *lines {
	t.Helper()
	cmd, _, stderr := p.start(t, name, args...)
	cmd.Stdout = nil
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	l := &lines{cmd, bufio.NewScanner(out), stderr}
	l.out.Buffer(nil, 1<<20)
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return l
}

// next waits for the next line.
func (l *lines) next(t *testing.T) map[string]any {
	t.Helper()
	if !l.out.Scan() {
		_ = l.cmd.Wait()
		t.Fatalf("%s ended: %v\n%s", l.cmd, l.out.Err(), l.stderr)
	}
	return objects(t, l.out.Text())[0]
}

// stop ends the program as Ctrl-C does, and returns what it printed since the last line.
func (l *lines) stop(t *testing.T) (rest []string) {
	t.Helper()
	if err := l.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for l.out.Scan() {
		rest = append(rest, l.out.Text())
	}
	if err := l.cmd.Wait(); err != nil {
		t.Errorf("%s: %v after an interrupt\n%s", l.cmd, err, l.stderr)
	}
	return rest
}

// asJSON is text of JSON.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPagesAreInstalled: the packages that the page asks its reader to install are those that the tests run with.
func TestPagesAreInstalled(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/javascript.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^npm install (.*)$`).FindSubmatch(text)
	if line == nil {
		t.Fatal("docs/javascript.md has no line that begins with npm install")
	}
	manifest, err := os.ReadFile("js/package.json")
	if err != nil {
		t.Fatal(err)
	}
	var of struct{ Dependencies map[string]string }
	if err := json.Unmarshal(manifest, &of); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"@asyncapi/parser", "json-schema-to-typescript", "typescript"} { // which no program of the page needs
		delete(of.Dependencies, name)
	}
	var want []string
	for name, version := range of.Dependencies {
		major, _, _ := strings.Cut(version, ".")
		want = append(want, name+"@"+major)
	}
	got := strings.Fields(string(line[1]))
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the page installs %v, the tests %v", got, want)
	}
}
