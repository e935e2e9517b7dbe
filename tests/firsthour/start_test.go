package firsthour

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.types("bridge --version").exits(0).matches(`^bridge \S+ go1\.\S+ \w+/\w+$`)
	d.types("bridge version").exits(0).matches(`^bridge \S+ go1\.\S+ \w+/\w+$`)
}

// TestCheckWithoutFiles: the sample is valid, and the files that it names are reported as missing, by the settings that
// name them.
func TestCheckWithoutFiles(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.types("bridge config sample > bridge.yaml").exits(0)
	d.replace(`\{file: [^}]*/acme-webhook\}`, "{file: secrets/acme-webhook}")
	d.replace(`\{file: [^}]*/acme-api-key\}`, "{file: secrets/acme-api-key}")
	d.types("bridge config check bridge.yaml").exits(0).
		matches(`^warning: line \d+: clouds\[0\]\.webhook\.secrets\[0\]: open secrets/acme-webhook: no such file or directory`).
		matches(`^warning: line \d+: clouds\[0\]\.api\.key: open secrets/acme-api-key: no such file or directory`).
		says("configuration is valid: bridge.yaml", "roles: ingress", "cloud: acme, webhooks at /webhooks/acme", "NATS:  nats://127.0.0.1:4222",
			"spool: up to 1024 MiB in ./spool", "files: 2 of those that are named cannot be read here").
		never("good")
	d.types("bridge config check --offline bridge.yaml").exits(0).says("files: not read (--offline)").never("warning")
	d.secrets()
	d.types("bridge config check bridge.yaml").exits(0).says("files: all that are named can be read").never("warning")
	must(t, os.Chmod(filepath.Join(d.dir, "secrets/acme-api-key"), 0o644))
	d.types("bridge config check bridge.yaml").exits(0).says("warning: ", "secrets/acme-api-key has the mode 0644: everybody on this machine may read it")
}

// TestMistakes: all mistakes of a configuration are reported in one run, each with its line and setting.
func TestMistakes(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.configured("max_in_flight: 256", "max_in_flight: many", "  timeout: 20s", "  timeout: 20", "log:\n", "logs: {}\nlog:\n", "level: info", "level: verbose",
		"- name: acme  ", "- name: ACME/1", "roles: [ingress,", "roles: [ingres,")
	d.secrets()
	d.write("secrets/acme-api-key", "two\nlines\n")
	d.types("bridge config check bridge.yaml").exits(2).
		matches(`^line \d+: http\.max_in_flight: `).matches(`^line \d+: clouds\[0\]\.api\.timeout: `).matches(`^line \d+: logs: there is no such setting`).
		matches(`^line \d+: log\.level: `).matches(`^line \d+: clouds\[0\]\.name: `).matches(`^line \d+: roles`).never("valid: bridge.yaml")
	d.types("bridge run --config bridge.yaml").exits(2).matches(`^line \d+: http\.max_in_flight: `).matches(`^line \d+: log\.level: `)
	d.types("bridge run --config nowhere.yaml").exits(2).says("nowhere.yaml: no such file or directory")
	for _, line := range []string{"run", "config check", "canary", "reconcile", "streams diff"} {
		d.types("bridge "+line).exits(2).says("no file is named", "bridge config sample")
	}
}

// TestNothingThere: no NATS, no secret, no key. All of it is said, nothing is taken for good, and when NATS and the files come no restart is
// needed.
func TestNothingThere(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.configured()
	b := d.runs()
	b.logs(`"level":"ERROR"`, "a file cannot be used", "api_key", "secrets/acme-api-key: no such file or directory")
	d.ready(http.StatusServiceUnavailable, `"ready":false`, "no webhook secret: open secrets/acme-webhook: no such file or directory",
		fmt.Sprintf("not connected to NATS: 127.0.0.1:%d: connection refused", d.natsPort), "next attempt at 20")
	b.logs(`"level":"WARN"`, "NATS cannot be reached; trying again", "connection refused", `"next_attempt":"20`)
	b.logs(`"level":"ERROR"`, "a file cannot be used", "webhook_secret", "secrets/acme-webhook: no such file or directory")
	d.webhook("acme", secret, event("1"), http.StatusServiceUnavailable)
	d.types("bridge healthcheck --config bridge.yaml").exits(1).says("paused: there is no API key: open secrets/acme-api-key: no such file or directory; no webhook secret: open secrets/acme-webhook: no such file or directory")

	d.serve()
	b.logs(`"level":"INFO"`, "connected to NATS", fmt.Sprintf("127.0.0.1:%d", d.natsPort))
	d.ready(http.StatusServiceUnavailable, `"nats":"ok"`, "no webhook secret: ")
	d.secrets()
	d.ready(http.StatusOK, `"ready":true`)
	b.logs("a file can be used again", "webhook_secret")
	d.webhook("acme", secret, event("2"), http.StatusAccepted)
	d.webhook("acme", "another-secret", event("3"), http.StatusUnauthorized)
	d.types("bridge healthcheck --config bridge.yaml").exits(0).says(`"ready":true`)
	if n := b.times("bridge started"); n != 1 {
		t.Errorf("it started %d times", n)
	}
}

// TestSpooled: with secrets and without NATS webhooks are taken, and handed over when NATS comes.
func TestSpooled(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.configured()
	d.secrets()
	b := d.runs()
	d.ready(http.StatusOK, "not connected to NATS", "webhooks are spooled")
	d.webhook("acme", secret, event("1"), http.StatusAccepted)
	d.serve()
	b.logs("connected to NATS")
	d.await("the spool is empty", func() bool { return strings.Contains(d.ready(http.StatusOK, `"nats":"ok"`).body, `"spool":"empty"`) })
	d.types("timeout 3 bridge tail events --config bridge.yaml --since 1h").says("factro.event.acme.task.1.TaskStateChanged", `"entityId":"1"`)
}

// TestFactroAway: one warning with the cause when factro cannot be reached, the cloud's line in /readyz, and word when it is back.
func TestFactroAway(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.configured()
	d.secrets()
	d.serve()
	b := d.runs()
	refused := fmt.Sprintf("dial tcp 127.0.0.1:%d: connect: connection refused", d.factroPort)
	for range 5 {
		d.types("bridge query listProjects --config bridge.yaml --timeout 2s")
	}
	b.logs(`"level":"WARN"`, "factro cannot be reached or fails; what is for it waits", `"cloud":"acme"`, refused)
	d.ready(http.StatusOK, "factro cannot be reached or fails since 20", refused, "next attempt at 20")
	d.factro()
	b.logs(`"level":"INFO"`, "factro answers again", `"cloud":"acme"`)
	d.ready(http.StatusOK, `"clouds":{"acme":"ok"}`)
	if n := b.times("factro cannot be reached or fails"); n != 1 {
		t.Errorf("that factro is away was logged %d times, want once", n)
	}
	d.types("bridge query listProjects --config bridge.yaml").exits(0)
}

// TestKeys: a key that is missing is not told as one that factro refuses, and the other way round.
func TestKeys(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.configured("requests_per_minute: 480", "requests_per_minute: 4800")
	d.secrets()
	must(t, os.Remove(filepath.Join(d.dir, "secrets/acme-api-key")))
	d.serve()
	d.factro()
	b := d.runs()
	b.logs("there is no API key to call factro with; the cloud is paused and its commands wait", "secrets/acme-api-key: no such file or directory")
	d.ready(http.StatusOK, "paused: there is no API key: open secrets/acme-api-key: no such file or directory")
	if n := b.times("does not accept the API key"); n != 0 {
		t.Error("a missing key is reported as one that factro does not accept")
	}
	d.write("secrets/acme-api-key", "a-key-of-yesterday")
	b.logs("factro does not accept the API key; the cloud is paused and its commands wait")
	d.ready(http.StatusOK, "paused: factro does not accept the API key")
	d.write("secrets/acme-api-key", apiKey)
	b.logs("factro accepts the API key; the cloud is no longer paused")
	d.ready(http.StatusOK, `"clouds":{"acme":"ok"}`)
}

// TestHangup: SIGHUP ends nothing, and the log says what it does.
func TestHangup(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.configured()
	d.secrets()
	d.serve()
	b := d.runs()
	d.ready(http.StatusOK)
	must(t, b.Signal(syscall.SIGHUP))
	b.logs(`"level":"WARN"`, "SIGHUP changes nothing")
	d.webhook("acme", secret, event("1"), http.StatusAccepted)
	_, err := b.Terminate(30 * time.Second)
	must(t, err)
	b.logs("bridge stopped its work")
}

// TestLogs: JSON in a pipe, text where it is asked for, and one line for each webhook at debug.
func TestLogs(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.configured()
	d.secrets()
	d.serve()
	b := d.runs()
	b.logs(`{"time":"`, `"msg":"bridge started"`)
	d.webhook("acme", secret, event("1"), http.StatusAccepted)
	_, err := b.Terminate(30 * time.Second)
	must(t, err)
	if n := b.times("webhook answered"); n != 0 {
		t.Errorf("%d lines for a webhook that is well, at the level info", n)
	}
	d.edit(`format: ""`, "format: text", "level: info", "level: debug")
	b = d.runs()
	b.logs("level=INFO", `msg="bridge started"`)
	d.ready(http.StatusOK, `"nats":"ok"`)
	d.webhook("acme", secret, event("2"), http.StatusAccepted)
	b.logs("level=DEBUG", `msg="webhook answered"`, "cloud=acme", "status=202")
}

// TestTerminal: on a terminal the log is text without being asked for.
func TestTerminal(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.configured()
	d.secrets()
	d.serve()
	d.types(`script --quiet --return --command "timeout --foreground 3 bridge run --config bridge.yaml" /dev/null`).
		says("level=INFO", `msg="bridge started"`, `msg="bridge stopped its work"`).never(`{"time"`)
}

// TestRefused: a webhook that is refused leaves a line, and a flood of them does not fill the log.
func TestRefused(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	d.configured()
	d.secrets()
	d.serve()
	b := d.runs()
	d.ready(http.StatusOK)
	d.webhook("acme", "a-wrong-secret", event("1"), http.StatusUnauthorized)
	b.logs(`"level":"WARN"`, "refused", `"cloud":"acme"`, "401")
	d.webhook("acne", secret, event("1"), http.StatusNotFound)
	b.logs(`"level":"WARN"`, "refused", "404")
	d.write("large.json", event(strings.Repeat("x", 2<<20)))
	d.types("curl --silent -H 'X-Bridge-Key: " + secret + "' --data @large.json http://$webhooks/webhooks/acme").says(`"status":413`)
	b.logs(`"level":"WARN"`, "refused", "413")
	for range 100 {
		if a := d.ask(http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/webhooks/acne", d.webhookPort), "{}"); a.status != http.StatusNotFound {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if n := b.times("refused"); n > 10 {
		t.Errorf("%d lines for 103 webhooks", n)
	}
}

// TestSecretsByHand: the German first steps make two files that only the bridge's user may read, where its configuration looks for them.
func TestSecretsByHand(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	page, err := os.ReadFile("../../docs/de/erste-schritte.md")
	must(t, err)
	_, block, _ := strings.Cut(string(page), "   ```sh\n   sudo install -d")
	block, _, found := strings.Cut("sudo install -d"+block, "   ```")
	if !found {
		t.Fatal("the page has no block that makes the files")
	}
	d.configured()
	d.write("typed", apiKey+"\n")
	// The rights that a person has, and a folder in place of the machine's.
	d.types("sudo() { \"$@\"; }\n" + strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(block), "\n   ", "\n"), "/etc/factro-bridge", d.dir+"/etc") + " < typed").exits(0)
	d.replace(`\{file: secrets/`, "{file: etc/secrets/")
	d.types("ls -l etc/secrets").matches(`^-rw-------.* acme-api-key$`).matches(`^-rw-------.* acme-webhook$`)
	d.types("ls -ld etc/secrets").matches(`^drwx------ `)
	d.types("bridge config check bridge.yaml").exits(0).says("files: all that are named can be read").never("warning")
}

// TestZeros: the line of the German first steps shows nothing before there is something.
func TestZeros(t *testing.T) {
	t.Parallel()
	d := newUser(t)
	page, err := os.ReadFile("../../docs/de/erste-schritte.md")
	must(t, err)
	var line string
	for l := range strings.Lines(string(page)) {
		if strings.Contains(l, "grep") && strings.Contains(l, "factro_bridge_webhooks_total") {
			line = strings.ReplaceAll(strings.TrimSpace(l), "127.0.0.1:9090", "$admin")
		}
	}
	d.configured()
	d.secrets()
	d.serve()
	d.runs()
	d.ready(http.StatusOK)
	if s := d.types(line); s.out != "" {
		t.Errorf("before there was any webhook it shows\n%s", s.out)
	}
	d.webhook("acme", "a-wrong-secret", event("1"), http.StatusUnauthorized)
	d.types(line).matches(`outcome="secret"\} 1$`).never(" 0\n")
}
