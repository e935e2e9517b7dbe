package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What --json prints is part of the interface: it is what docs/operations.md shows. The report for people has the same.
func TestCanaryReport(t *testing.T) {
	t.Parallel()
	r := canaryReport{Cloud: "acme", Trace: "84aee948f3abaa6995d7598de6cdcd34", Legs: []leg{
		{
			Name: "webhook", OK: true, To: "http://127.0.0.1:8080/webhooks/acme",
			Arrived: "factro.event.acme.bridge.01a20bba-8a6d-74a4-8cdc-be4520dd4606.BridgeCanary",
			Trace:   "59c43aaeb5e10639e903815b616eaafd", Answered: 2.2, Millis: 4.9,
		},
		{Name: "command", To: "factro.command.acme.bridge.canary", Millis: 30000, Error: "the command … is in the stream, but …"},
	}}
	var asJSON, text bytes.Buffer
	if err := errors.Join(r.write(&asJSON, true), r.write(&text, false)); err != nil {
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

// What is refused before anything is sent is a mistake of the command line or of the configuration.
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
		root := newRoot()
		root.SetArgs(append([]string{"canary"}, args...))
		err := root.ExecuteContext(t.Context())
		if code, ok := errors.AsType[*exitError](err); !ok || code.code != exitUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
