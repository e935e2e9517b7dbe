package firsthour

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/tests/process"
)

// dev starts "bridge dev" in the user's folder and returns after the round trip, when everything is printed.
func (d *user) dev(flags string) *running {
	d.t.Helper()
	d.log += "$ bridge dev " + flags + "\n"
	p, err := process.Start(process.Options{
		Name: "dev", Dir: d.dir, Env: d.env, Up: func(line []byte) bool { return bytes.Contains(line, []byte("Ctrl-C ends everything")) },
	}, "bash", "-c", "cd "+d.dir+" && exec bridge dev "+flags)
	must(d.t, err)
	r := &running{d: d, Process: p}
	d.t.Cleanup(func() {
		r.Kill()
		r.note()
	})
	return r
}

// TestDev: the usual ports are taken, so dev takes others and says so; and what it prints to be tried works as it is printed.
func TestDev(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	// Whoever holds the port, it is taken.
	if l, err := net.Listen("tcp", "127.0.0.1:4222"); err == nil {
		defer l.Close() //nolint:errcheck // nothing was written
	}
	dev := d.dev("")
	if !strings.Contains(dev.Log(), "4222 is taken, NATS listens on ") {
		t.Errorf("it does not say that port 4222 is taken:\n%s", dev.Log())
	}
	address := regexp.MustCompile(`NATS with JetStream +nats://(\S+)`).FindStringSubmatch(dev.Log())
	if address == nil || address[1] == "127.0.0.1:4222" {
		t.Fatalf("it does not say where NATS is:\n%s", dev.Log())
	}
	for line := range strings.Lines(dev.Log()) {
		line = strings.TrimSpace(line)
		switch words := strings.Fields(line); {
		case len(words) < 2 || words[0] != "bridge" && words[0] != "curl":
		case words[1] == "tail":
			d.types("timeout 3 " + line).says("factro.result.demo.")
		case words[1] == "get": // the first copy takes seconds
			d.await("the mirror has the task", func() bool { return d.types(line).code == 0 })
		case strings.Contains(line, "setTaskState"):
			d.types(line).exits(3).says("rejected")
		case words[0] == "curl" && !strings.Contains(line, "X-Bridge-Key"):
			d.types(line).says("401 Unauthorized")
		case words[0] == "curl":
			d.types(line).says("202 Accepted")
		default:
			d.types(line).exits(0)
		}
	}
	d.types("bridge dead list --nats nats://" + address[1]).exits(0).says("setTaskState")
	dev.logs("setTaskState", "rejected")
	if _, err := dev.Terminate(30 * time.Second); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(d.dir, "dev.*")); len(left) != 1 { // the log of the process is ours
		t.Errorf("it leaves %q", left)
	}
}

// TestDevPages: its addresses have an index each, and the link to a new object leads to a page that shows it.
func TestDevPages(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	dev := d.dev("--nats 127.0.0.1:" + itoa(d.natsPort) + " --http 127.0.0.1:" + itoa(d.webhookPort) + " --admin 127.0.0.1:" + itoa(d.adminPort) +
		" --sim 127.0.0.1:" + itoa(d.factroPort))
	link := regexp.MustCompile(`http://\S+/\?p=task\S+`).FindString(dev.Log())
	for url, want := range map[string]string{
		"http://127.0.0.1:" + itoa(d.adminPort) + "/":          "/readyz",
		"http://127.0.0.1:" + itoa(d.adminPort) + "/contract/": "asyncapi",
		"http://127.0.0.1:" + itoa(d.factroPort) + "/_sim/":    "/_sim/fire",
		link: "Prüfung der Brücke",
	} {
		a := d.ask(http.MethodGet, url, "")
		d.log += "$ curl " + url + "\n"
		if a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s answers %d without %q:\n%.500s", url, a.status, want, a.body)
		}
	}
	d.types("bridge dev --nats 127.0.0.1:" + itoa(d.natsPort)).exits(1).says(itoa(d.natsPort))
	if _, err := os.Stat(filepath.Join(d.dir, "dev.yaml")); err != nil {
		t.Errorf("a second dev that does not start takes the first one's files: %v", err)
	}
}
