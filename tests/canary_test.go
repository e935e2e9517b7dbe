package tests

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// flight is what the canary tells with --json.
type flight struct {
	OK    bool
	Trace string
	Legs  []struct {
		Leg, To, Arrived, Trace, Error string
		OK                             bool
		Ms, AnsweredMs                 float64
	}
}

// fly sends a canary through a bridge, by the bridge's own configuration.
func (b *bridge) fly(args ...string) (f flight, code int) {
	b.t.Helper()
	args = append([]string{"canary", "--config", b.configFile, "--webhook-url", b.http + "/webhooks/acme", "--json"}, args...)
	out, errOut, code := bridgeCommand(b.t, args...)
	if err := json.Unmarshal([]byte(out), &f); err != nil {
		b.t.Fatalf("exit code %d, %v: %s%s", code, err, out, errOut)
	}
	if strings.Contains(out+errOut, webhookSecret) || strings.Contains(out+errOut, apiKey) {
		b.t.Errorf("the canary tells a secret: %s%s", out, errOut)
	}
	return f, code
}

// A canary goes both ways, its trace is found at the other end, and factro is asked one question and told nothing.
func TestCanary(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()

	got, code := b.fly()
	if code != 0 || !got.OK || len(got.Legs) != 3 {
		t.Fatalf("exit code %d: %+v", code, got)
	}
	webhook, command, query := got.Legs[0], got.Legs[1], got.Legs[2]
	if !strings.HasPrefix(webhook.Arrived, "factro.event.acme.bridge.") || !strings.HasSuffix(webhook.Arrived, ".BridgeCanary") {
		t.Errorf("the event arrived on %s", webhook.Arrived)
	}
	if webhook.Trace == "" || webhook.Trace == got.Trace {
		t.Errorf("the event is of the trace %q, the canary of %q: the webhook port is public, so there are two", webhook.Trace, got.Trace)
	}
	if command.Arrived != "factro.result.acme.bridge.canary.applied" || command.Trace != got.Trace {
		t.Errorf("the result arrived on %s, in the trace %s of %s", command.Arrived, command.Trace, got.Trace)
	}
	if query.To != "factro.query.acme.user.getUserQuota" || webhook.AnsweredMs > webhook.Ms {
		t.Errorf("got %+v", got)
	}
	for _, c := range f.Requests() {
		if c.Method != http.MethodGet {
			t.Errorf("the canary had factro called with %s %s", c.Method, c.Path)
		}
	}
	_, metrics := b.get("/metrics")
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "factro_bridge_webhooks_unknown_total{") && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
			t.Errorf("the canary counts as news of factro: %s", line)
		}
	}
	if text, _, code := bridgeCommand(t, "canary", "-c", b.configFile, "--webhook-url", b.http+"/webhooks/acme", "--no-query"); code != 0 ||
		!strings.Contains(text, "webhook came after") || !strings.Contains(text, "command came after") || strings.Contains(text, "query") {
		t.Errorf("exit code %d: %s", code, text)
	}
	// Traces that nobody takes are no reason to wake somebody.
	cmd := exec.CommandContext(t.Context(), binary, "canary", "-c", b.configFile, "--webhook-url", b.http+"/webhooks/acme")
	cmd.Env = append(os.Environ(), "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "query came after") {
		t.Errorf("without a collector: %v: %s", err, out)
	}
}

// Each way fails by itself and says what to look at.
func TestCanaryFails(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}, roles: "ingress"})
	if _, errOut, code := bridgeCommand(t, "canary", "-c", b.configFile, "--cloud", "nobody"); code != 2 || !strings.Contains(errOut, "nobody") {
		t.Errorf("an unknown cloud: exit code %d: %s", code, errOut)
	}
	b.start()
	for name, tt := range map[string]struct {
		args          []string
		code          int
		failed, wants string
	}{
		"nobody carries out commands": {[]string{"--timeout", "2s", "--no-query"}, 5, "command", "role egress"},
		"nobody answers queries":      {[]string{"--timeout", "2s"}, 5, "query", "no bridge answers queries"},
		"another cloud's path":        {[]string{"--timeout", "2s", "--webhook-url", b.http + "/webhooks/other"}, 1, "webhook", "name of the cloud"},
		"nobody listens":              {[]string{"--timeout", "2s", "--webhook-url", "http://127.0.0.1:1/webhooks/acme"}, 1, "webhook", "was not answered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, code := b.fly(tt.args...)
			if code != tt.code || got.OK {
				t.Errorf("exit code %d, want %d: %+v", code, tt.code, got)
			}
			found := false
			for _, l := range got.Legs {
				found = found || l.Leg == tt.failed && !l.OK && strings.Contains(l.Error, tt.wants)
			}
			if !found {
				t.Errorf("want %s to fail with %q: %+v", tt.failed, tt.wants, got.Legs)
			}
		})
	}
}
