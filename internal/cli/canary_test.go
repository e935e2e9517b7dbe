package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/canary"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// The webhook goes to the address on which the bridge listens, unless the user gives another one.
func TestCanaryWebhook(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ listen, to, want string }{
		"everywhere":       {":8080", "", "http://127.0.0.1:8080/webhooks/acme"},
		"everywhere by IP": {"0.0.0.0:8080", "", "http://127.0.0.1:8080/webhooks/acme"},
		"all of IPv6":      {"[::]:8080", "", "http://127.0.0.1:8080/webhooks/acme"},
		"all, in full":     {"[0:0:0:0:0:0:0:0]:8080", "", "http://127.0.0.1:8080/webhooks/acme"},
		"one of IPv6":      {"[::1]:8080", "", "http://[::1]:8080/webhooks/acme"},
		"one address":      {"10.1.2.3:80", "", "http://10.1.2.3:80/webhooks/acme"},
		"named":            {":8080", "https://hooks.example.com/factro", "https://hooks.example.com/factro"},
		"no URL":           {":8080", "hooks.example.com", ""},
		"no address":       {"8080", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config.Default()
			cfg.HTTP.Listen = tt.listen
			w, err := canaryWebhook(cfg, config.Cloud{Name: "acme", Webhook: config.Webhook{
				Header: "X-Bridge-Key", Secrets: []secret.Source{{Value: "first-secret"}, {Value: "second-secret"}},
			}}, tt.to)
			if code, ok := errors.AsType[*exit.Error](err); tt.want == "" {
				if !ok || code.Code != exit.WrongUsage {
					t.Errorf("error %v, want one with exit code %d", err, exit.WrongUsage)
				}
				return
			}
			if err != nil || w.URL != tt.want || w.Secret.Reveal() != "first-secret" {
				t.Errorf("got %+v, %v; want %s", w, err, tt.want)
			}
		})
	}
}

// The output of --json is part of the interface, and docs/operations.md shows it. The report for people has the same content.
func TestCanaryReport(t *testing.T) {
	t.Parallel()
	r := canary.Report{Cloud: "acme", Trace: "84aee948f3abaa6995d7598de6cdcd34", Legs: []canary.Leg{
		{
			Name: "webhook", OK: true, To: "http://127.0.0.1:8080/webhooks/acme",
			Arrived: "factro.event.acme.bridge.01a20bba-8a6d-74a4-8cdc-be4520dd4606.BridgeCanary",
			Trace:   "59c43aaeb5e10639e903815b616eaafd", Answered: 2.2, Millis: 4.9,
		},
		{Name: "command", To: "factro.command.acme.bridge.canary", Millis: 30000, Error: "the command … is in the stream, but …"},
	}}
	var asJSON, text bytes.Buffer
	if err := errors.Join(writeReport(&asJSON, r, true), writeReport(&text, r, false)); err != nil {
		t.Fatal(err)
	}
	shown, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(shown), "```json\n"+asJSON.String()+"```\n") {
		t.Errorf("docs/operations.md does not show\n%s", &asJSON)
	}
	for _, want := range []string{"webhook came after 4.9ms\n", "  202      after 2.2ms\n", "command FAILED after 30s\n", "  error    the command …"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
}

// Errors before anything is sent are mistakes in the command line or in the configuration.
func TestCanaryMistakes(t *testing.T) {
	t.Parallel()
	config := func(text string) string {
		file := filepath.Join(t.TempDir(), "bridge.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	const cloud = "{name: %s, webhook: {header: X-Bridge-Key, secrets: [{file: /nowhere}]}}"
	two := config("roles: [ingress]\nclouds: [" + fmt.Sprintf(cloud, "acme") + ", " + fmt.Sprintf(cloud, "mueller") + "]\n")
	egress := config("roles: [egress]\nclouds: [{name: acme, api: {key: {value: k}}}]\n")
	for want, args := range map[string][]string{
		"which one? There are acme, mueller":      {"-c", two},
		"is not in the configuration; there are ": {"-c", two, "--cloud", "other"},
		"is not positive":                         {"-c", two, "--cloud", "acme", "--timeout", "0s"},
		"the first secret of acme":                {"-c", two, "--cloud", "acme"},
		"no webhook.header":                       {"-c", egress},
	} {
		root := newRoot("test")
		root.SetArgs(append([]string{"canary"}, args...))
		err := root.ExecuteContext(t.Context())
		if code, ok := errors.AsType[*exit.Error](err); !ok || code.Code != exit.WrongUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
