package tests

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// TestDevLines types each line that "bridge dev" prints to be tried into a shell, in its folder, and wants what the line
// promises; and dev prints the outcomes by itself.
func TestDevLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := startDevIn(t, dir, "Ctrl-C ends everything")
	lines := slices.DeleteFunc(strings.Split(d.text(), "\n"), func(line string) bool {
		return !regexp.MustCompile(`^   (curl|nats|` + regexp.QuoteMeta(binary) + `) `).MatchString(line)
	})
	for _, name := range []string{"dev.yaml", "dev.webhook-secret", "dev.api-key"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: want a file of mode 0600: %v, %v", name, info, err)
		}
	}
	for _, want := range []struct{ form, says string }{
		{`curl -i -H "X-Bridge-Key`, "202 Accepted"},
		{"curl -i -d", "401 Unauthorized"},
		{"send --config dev.yaml createTask", "createTask applied"},
		{"send --config dev.yaml setTaskState", "setTaskState rejected"},
		{"query --config dev.yaml listPackages", `"title":"Demo package"`},
		{"tail --config dev.yaml results", "setTaskState.rejected"},
		{"dead list --config dev.yaml", "setTaskState"},
		{"healthcheck --config dev.yaml", `"ready":true`},
		{"canary --config dev.yaml", "query came"},
		{"reconcile --config dev.yaml", "missing"},
		{"get --config dev.yaml task", `"title": "`},
		{"nats --server " + d.nats(t) + " sub", ".TaskCreated"},
		{"nats --server " + d.nats(t) + " pub", ""},
		{"nats --server " + d.nats(t) + " req", `"title":"Demo package"`},
	} {
		i := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, want.form) })
		if i < 0 {
			t.Errorf("there is no line to try with %q:\n%s", want.form, d.text())
			continue
		}
		typed(t, dir, strings.TrimSpace(lines[i]), want.says)
		lines = slices.Delete(lines, i, i+1)
	}
	if len(lines) > 0 {
		t.Errorf("these lines were not tried:\n%s", strings.Join(lines, "\n"))
	}
	for _, want := range []string{
		".TaskStateChanged", "webhook refused (401 secret_absent)\n  POST /webhooks/demo\n  the authentication header is missing",
		".setTaskState.rejected\n  setTaskState rejected (404)\n", "not found", "dead letter (refused)", "createTask applied (200)", ".BridgeCanary",
	} {
		waitFor(t, "dev tells "+want, func() bool { return strings.Contains(d.text(), want) })
	}

	link := regexp.MustCompile(`http://\S+/\?p=task&pi=\S+`).FindString(d.text())
	if page := browsed(t, link); !strings.Contains(page, "<h1>Prüfung der Brücke</h1>") {
		t.Errorf("the link of the task, %s, does not show it:\n%s", link, page)
	}
	if page := browsed(t, regexp.MustCompile(`admin +(\S+)`).FindStringSubmatch(d.text())[1]); !strings.Contains(page, `<a href="/readyz">`) {
		t.Errorf("the admin address has no index:\n%s", page)
	}

	// What is wrong with a command that send would not have sent, and why one waits.
	nc := connectTo(t, d.nats(t))
	publish := func(data string) {
		if err := nc.Publish("factro.command.demo.task.createTask", []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	publish(`{"titel":"x"}`)
	waitFor(t, "the mistake", func() bool {
		return strings.Contains(d.text(), "createTask rejected\n") && strings.Contains(d.text(), `"title" is missing`)
	})
	simulated := regexp.MustCompile(`http://\S+/_sim/`).FindString(d.text())
	put(t, simulated+"key", `{"key":""}`)
	publish(`{"title":"x","targetParentId":"0f5ac7e0-0000-4000-8000-000000000020"}`)
	waitFor(t, "why it waits", func() bool {
		return strings.Contains(d.text(), "createTask deferred") && strings.Contains(d.text(), "API key")
	})

	_ = d.cmd.Process.Signal(os.Interrupt)
	<-d.exited
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("dev leaves %v behind: %v", left, err)
	}
}

// typed types a line into a shell in a folder, and wants it to print something. The lines for the nats command are done by
// the client's library: tests/interop has the command.
func typed(t testing.TB, dir, line, says string) {
	t.Helper()
	if m := regexp.MustCompile(`^nats --server (\S+) (\w+) '?([^ ']+)'?(?: '(.*)')?$`).FindStringSubmatch(line); m != nil {
		askedByNATS(t, m[1], m[2], m[3], m[4], says)
		return
	}
	if _, err := exec.LookPath("curl"); strings.HasPrefix(line, "curl") && err != nil {
		t.Logf("there is no curl here for %s", line)
		return
	}
	if strings.Contains(line, " tail ") { // it ends only if somebody ends it
		words := strings.Fields(strings.ReplaceAll(line, "dev.yaml", filepath.Join(dir, "dev.yaml")))
		if tail(t, says, words[1:]...) == "" {
			t.Errorf("%s does not print %q", line, says)
		}
		return
	}
	var out []byte
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for ctx.Err() == nil { // a dead letter may come after its result, and the mirror's first copy takes seconds
		cmd := exec.CommandContext(ctx, "bash", "-c", line)
		cmd.Dir = dir
		out, _ = cmd.CombinedOutput() // the exit code of a rejected command is not 0
		if strings.Contains(string(out), says) {
			return
		}
		if !strings.Contains(line, " dead ") && !strings.Contains(line, " get ") {
			break
		}
	}
	t.Errorf("%s does not print %q:\n%s", line, says, out)
}

func askedByNATS(t testing.TB, url, verb, subject, data, says string) {
	t.Helper()
	nc := connectTo(t, url)
	switch verb {
	case "pub":
		if err := nc.Publish(subject, []byte(data)); err != nil {
			t.Error(err)
		}
	case "req":
		answer, err := nc.Request(subject, []byte(data), patience)
		if err != nil || !strings.Contains(string(answer.Data), says) {
			t.Errorf("%s: %v, %v", subject, answer, err)
		}
	case "sub":
		seen := make(chan string, 100)
		if _, err := nc.Subscribe(subject, func(m *nats.Msg) { seen <- m.Subject }); err != nil {
			t.Fatal(err)
		}
		if err := nc.Publish("factro.command.demo.task.createTask", []byte(`{"title":"x","targetParentId":"0f5ac7e0-0000-4000-8000-000000000020"}`)); err != nil {
			t.Fatal(err)
		}
		waitFor(t, subject, func() bool { return strings.HasSuffix(<-seen, says) })
	default:
		t.Errorf("what does nats %s?", verb)
	}
}

func connectTo(t testing.TB, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// browsed is the page that a browser gets.
func browsed(t testing.TB, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %v", url, resp.Status, err)
	}
	return string(page)
}

func put(t testing.TB, url, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("PUT %s: %s", url, resp.Status)
	}
}

// TestDevFiles: dev overwrites nothing that is not its own, or that another one uses, and says where its files are instead. What
// one left behind that was killed it takes over.
func TestDevFiles(t *testing.T) {
	t.Parallel()
	const ready = "Ctrl-C ends everything"
	dir := t.TempDir()
	config := filepath.Join(dir, "dev.yaml")
	first := startDevIn(t, dir, ready, "--no-demo")
	before, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	second := startDevIn(t, dir, ready, "--no-demo")
	if !strings.Contains(second.text(), `not in the current folder: `+config+` belongs to another "bridge dev"`) {
		t.Errorf("the second one does not mention the first:\n%s", second.text())
	}
	if !regexp.MustCompile(`(4222|8080) is taken, .* on \d+\n`).MatchString(second.text()) {
		t.Errorf("the second one does not tell of other ports:\n%s", second.text())
	}
	other := regexp.MustCompile(`--config (\S+/dev\.yaml)`).FindStringSubmatch(second.text())
	if other == nil {
		t.Fatalf("the second one does not name its configuration:\n%s", second.text())
	}
	if out, errOut, code := bridgeCommand(t, "canary", "--config", other[1]); code != 0 {
		t.Errorf("the second one's canary: exit code %d: %s%s", code, out, errOut)
	}
	second.stop(t)
	if _, err := os.Stat(other[1]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the second one leaves its files behind: %v", err)
	}
	if now, err := os.ReadFile(config); err != nil || string(now) != string(before) {
		t.Errorf("the first one's file was changed: %v", err)
	}

	_ = first.cmd.Process.Kill()
	<-first.exited
	left, err := os.Stat(config)
	if err != nil {
		t.Fatal(err)
	}
	again := startDevIn(t, dir, ready, "--no-demo")
	// With the same ports the text is the same.
	if now, err := os.Stat(config); err != nil || !now.ModTime().After(left.ModTime()) || strings.Contains(again.text(), "not in the current folder") {
		t.Errorf("what a killed one left behind stays: %v\n%s", err, again.text())
	}
	again.stop(t)

	for _, name := range []string{"dev.yaml", "dev.webhook-secret", "dev.api-key"} {
		dir, data := t.TempDir(), t.TempDir()
		theirs := filepath.Join(dir, name)
		writeFile(t, theirs, "theirs\n")
		d := startDevIn(t, dir, ready, "--no-demo", "--data", data)
		if !strings.Contains(d.text(), theirs+` exists, and "bridge dev" did not write it`) || !strings.Contains(d.text(), filepath.Join(data, "dev.yaml")) {
			t.Errorf("%s: dev does not say where its files are:\n%s", name, d.text())
		}
		d.stop(t)
		if text, err := os.ReadFile(theirs); err != nil || string(text) != "theirs\n" {
			t.Errorf("%s was overwritten: %q, %v", name, text, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("%s: dev leaves %v: %v", name, left, err)
		}
		if _, err := os.Stat(filepath.Join(data, "dev.api-key")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: dev leaves its files in --data: %v", name, err)
		}
	}
}
