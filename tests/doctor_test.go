package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// diagnosis is what bridge doctor prints with --json.
type diagnosis struct {
	OK                                 bool
	Problems, Warnings, Notes, Unknown int
	Requests                           map[string]int
	Checks                             []struct {
		Name, Group, Level string
		Findings           []struct{ Level, Cloud, About, What, Why, Fix string }
	}
}

// level is how bad a check is, and text what it has found.
func (d diagnosis) level(check string) (level, text string) {
	for _, c := range d.Checks {
		if c.Name != check {
			continue
		}
		level = c.Level
		for _, f := range c.Findings {
			text += f.Cloud + " " + f.About + ": " + f.What + " | " + f.Why + " | " + f.Fix + "\n"
		}
	}
	return level, text
}

// diagnose runs bridge doctor with a configuration. It must show no secret.
func diagnose(t testing.TB, configFile string, args ...string) (d diagnosis, code int) {
	t.Helper()
	out, errOut, code := bridgeCommand(t, append([]string{"doctor", "--config", configFile, "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, errOut)
	}
	if strings.Contains(out+errOut, webhookSecret) || strings.Contains(out+errOut, apiKey) {
		t.Errorf("the report has a secret: %s%s", out, errOut)
	}
	return d, code
}

// Beside a running bridge nothing is wrong, few requests are made, and with --canary a webhook takes the whole path. When the key is
// revoked, the exit code says so.
func TestDoctor(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, rpm: 400, more: "spool: {dir: " + filepath.Join(t.TempDir(), "spool") + "}"}).start()
	// The disk of the test may be in memory, or that of a container.
	good := func(d diagnosis, code int) bool {
		disk, _ := d.level("spool-disk")
		return d.OK && code == 0 && (d.Warnings == 0 || d.Warnings == 1 && disk == "warning")
	}
	waitFor(t, "no problem and no warning", func() bool { return good(diagnose(t, b.configFile)) }) // some streams come a little later
	before := len(f.Requests())
	d, _ := diagnose(t, b.configFile)
	if n := len(f.Requests()) - before; n != d.Requests["acme"] || n < 2 || n > 4 {
		t.Errorf("factro got %d requests, the report counts %v", n, d.Requests)
	}
	if _, code := diagnose(t, b.configFile, "--strict", "--check", "nats,factro"); code != 0 {
		t.Errorf("without a warning the exit code is %d", code)
	}

	stored := func() uint64 { return messages(t, n, "FACTRO_EVENTS_ACME") }
	if stored() != 0 {
		t.Errorf("there are %d events without a canary", stored())
	}
	d, code := diagnose(t, b.configFile, "--check", "webhook", "--canary", "--webhook-url", b.http+"/webhooks/acme")
	if level, text := d.level("webhook-path"); level != "ok" || code != 0 || stored() != 1 {
		t.Errorf("exit code %d, %s: %s, %d events", code, level, text, stored())
	}
	d, code = diagnose(t, b.configFile, "--check", "webhook", "--canary", "--webhook-url", b.http+"/elsewhere/acme")
	if level, text := d.level("webhook-path"); level != "problem" || code != 1 || !strings.Contains(text, "404") {
		t.Errorf("exit code %d, %s: %s", code, level, text)
	}

	f.SetKey("another")
	d, code = diagnose(t, b.configFile, "--check", "factro")
	if level, text := d.level("factro-key"); level != "problem" || code != 1 || d.Requests["acme"] != 1 {
		t.Errorf("exit code %d, %s: %s, requests %v", code, level, text, d.Requests)
	}
	out, _, code := bridgeCommand(t, "doctor", "-c", b.configFile, "-q", "--check", "config,factro")
	if code != 1 || strings.Contains(out, "  ok  ") || !strings.Contains(out, "PROBLEM  factro-key") || !strings.Contains(out, "why  no command") || !strings.Contains(out, "fix  ") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// messages is how many messages a stream has.
func messages(t testing.TB, n *natstest.Server, stream string) uint64 {
	t.Helper()
	_, js := n.Connect(t)
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// Mistakes in the command line are none of the report.
func TestDoctorMistakes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bridge.yaml")
	writeFile(t, file, "clouds: []\n")
	for want, args := range map[string][]string{
		"there is no group": {"-c", file, "--check", "nets"},
		"--config: ":        {"-c", file + "x"},
		"is not positive":   {"-c", file, "--timeout", "0s"},
		"is for --canary":   {"-c", file, "--webhook-url", "http://127.0.0.1:1"},
	} {
		if _, errOut, code := bridgeCommand(t, append([]string{"doctor"}, args...)...); code != 2 || !strings.Contains(errOut, want) {
			t.Errorf("%v: exit code %d: %s", args, code, errOut)
		}
	}
	if d, code := diagnose(t, file); code != 1 || d.Problems == 0 || d.Unknown == 0 {
		t.Errorf("a configuration with mistakes: exit code %d, %+v", code, d)
	}
}

// The permissions that the checks ask for are those that deploy/nats/auth.conf gives to each role: none is refused. One that is taken
// away is reported to the role that needs it. A user who may not publish to inboxes cannot find out.
func TestDoctorPermissions(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, func(conf string) string {
		return strings.ReplaceAll(conf, `"factro.result.beta.>", `, "")
	})
	f := startFactro(t, sim.Config{})
	g.prepare(f)
	for user, roles := range map[string]string{"ingress": "ingress", "egress": "egress, query", "reconcile": "reconcile", "mirror": "mirror"} {
		b := g.bridge(f, user, roles, "false")
		text, err := os.ReadFile(b.configFile)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, b.configFile, strings.Replace(string(text), "nats: {", "nats: {manage: false, nkey_file: "+g.seeds[user]+
			", inbox_prefix: "+`"`+connections[user].inboxes+`"`+", api_prefix: "+`"`+connections[user].api+`", `, 1))
		d, _ := diagnose(t, b.configFile, "--check", "nats")
		level, found := d.level("nats-permissions")
		if user == "egress" && (level != "problem" || strings.Count(found, "\n") != 1 || !strings.Contains(found, "publish to factro.result.beta.>, which the role egress needs")) ||
			user == "reconcile" && (level != "unknown" || !strings.Contains(found, "may not publish to inboxes")) ||
			user != "egress" && user != "reconcile" && level != "ok" {
			t.Errorf("%s: %s: %s", user, level, found)
		}
		if level, found := d.level("nats-streams"); level != "unknown" && level != "ok" {
			t.Errorf("%s: the streams are %s: %s", user, level, found)
		}
		if level, found := d.level("nats-connect"); level != "ok" {
			t.Errorf("%s: %s: %s", user, level, found)
		}
	}
}
