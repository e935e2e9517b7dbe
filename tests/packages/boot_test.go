package packages

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// canBoot says whether systemd can be started here, as TestBoot does.
func canBoot() bool {
	_, err := os.Stat("/lib/systemd/systemd")
	return err == nil && exec.Command("unshare", "--cgroup", "--mount", "--pid", "--fork", "--net", "mount", "-t", "tmpfs", "tmpfs", "/mnt").Run() == nil
}

// blocks are the fenced blocks of docs/install.md.
func blocks(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, m := range regexp.MustCompile("(?ms)^```(?:sh|ini)\n(.*?)^```").FindAllStringSubmatch(read(t, "../../docs/install.md"), -1) {
		all = append(all, m[1])
	}
	return all
}

// script is testdata/inside with the document's blocks in it, each named by how it begins.
func script(t *testing.T) string {
	t.Helper()
	text := read(t, "testdata/inside")
	for _, m := range regexp.MustCompile(`(?m)^@(.*)@\n`).FindAllStringSubmatch(text, -1) {
		found := ""
		for _, b := range blocks(t) {
			if strings.HasPrefix(b, m[1]) {
				found = b
			}
		}
		if found == "" {
			t.Fatalf("docs/install.md has no block that begins with %q", m[1])
		}
		text = strings.Replace(text, m[0], found, 1)
	}
	return text
}

// TestBoot: what docs/install.md says happens, with a real systemd.
func TestBoot(t *testing.T) {
	t.Parallel()
	needed(t)
	if !canBoot() {
		t.Skip("DID NOT RUN: systemd cannot be started in namespaces here")
	}
	folder := t.TempDir()
	must(t, os.Link(deb, filepath.Join(folder, filepath.Base(deb))))
	must(t, os.Rename(next(t), filepath.Join(folder, "next.deb")))
	write(t, folder+"/inside", script(t))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	console, err := exec.CommandContext(ctx, "testdata/boot", folder).CombinedOutput()
	out, unread := os.ReadFile(folder + "/out")
	if unread != nil {
		t.Fatalf("%v; it ended with %v\n%s", unread, err, console)
	}
	said := map[string]string{}
	for part := range strings.SplitSeq(string(out), "\n== ") {
		name, text, _ := strings.Cut(part, "\n")
		said[name] = text
	}
	if _, whole := said["end"]; !whole {
		t.Errorf("it ended early, with %v:\n%s\n%s", err, out, console)
	}
	for name, want := range map[string][]string{
		"install": {"\ndisabled\ninactive\n"},
		"nothing": {
			"\nstarted\n", `"ready":false`, "not connected to NATS: 127.0.0.1:4222: connection refused",
			"no webhook secret: open /run/credentials/factro-bridge.service/secret_acme-webhook: no such file", "HTTP/1.1 503 ",
		},
		"first": {
			"files: not read (--offline)", "files: all that are named can be read", "Type=notify\n", "NRestarts=0\n", "WatchdogUSec=2min\n",
			"-r-------- 1 factro-bridge ", " secret_acme-api-key\n", " secret_acme-webhook\n",
			"-rw------- 1 root ", " acme-api-key\n", " acme-webhook\n",
			"drwx------ 4 factro-bridge ", "factro-+ /usr/bin/factro-bridge run --config",
		},
		"canary":  {"exit code 0\n"},
		"journal": {`"msg":"bridge started"`},
		"restart": {"active\n"},
		"port":    {"HTTP/1.1 204 No Content"},
		"upgrade": {"\n1\nactive\n5\n"},
		"mistake": {
			"systemctl restart fails\n", "ActiveState=failed\n", "ExecMainStatus=2\n", "NRestarts=0\n", "nonsense: there is no such setting\n",
			"started again\n",
		},
		"stop":    {"ActiveState=inactive\n", "Result=success\n"},
		"removal": {"inactive\n", "No such file or directory\n"},
	} {
		for _, w := range want {
			if !strings.Contains("\n"+said[name], w) {
				t.Errorf("%s: it lacks %q:\n%s", name, w, said[name])
			}
		}
	}
	if !regexp.MustCompile(`(?m)^drwx------ +\d+ root +root .* /etc/factro-bridge/secrets$`).MatchString(said["first"]) {
		t.Errorf("others may enter the folder of secrets:\n%s", said["first"])
	}
	for line := range strings.Lines(said["removal"]) {
		if strings.HasPrefix(line, "/") {
			t.Errorf("the purge leaves %s", line)
		}
	}
	if t.Failed() {
		t.Logf("the console:\n%s", console)
	}
}

// TestBlocks: each block of docs/install.md is one that TestBoot runs, or is named here.
func TestBlocks(t *testing.T) {
	t.Parallel()
	inside := read(t, "testdata/inside")
	elsewhere := []string{
		"deploy/linux/build", // by TestMain, for one architecture
		"sudo dnf install",   // by TestRPM, with rpm
		"go build",           // the package does the same
	}
	for _, b := range blocks(t) {
		first, _, _ := strings.Cut(b, "\n")
		known := false
		for _, m := range regexp.MustCompile(`(?m)^@(.*)@$`).FindAllStringSubmatch(inside, -1) {
			known = known || strings.HasPrefix(b, m[1])
		}
		for _, e := range elsewhere {
			known = known || strings.HasPrefix(b, e)
		}
		if !known {
			t.Errorf("nothing runs the block that begins with %q", first)
		}
	}
}
