package interop

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// preparing is the command line in deploy/nats/auth.conf by which the owner makes a program's consumer.
var preparing = regexp.MustCompile(`(?m)^  # (nats consumer add [^\n]*) \\\n  #  ([^\n]*)$`)

// The stock nats command makes a consumer with the line that auth.conf shows, and a subscription takes it.
func TestNatsCommandPreparesAConsumer(t *testing.T) {
	t.Parallel()
	s := startSite(t)
	conf, err := os.ReadFile("../../deploy/nats/auth.conf")
	if err != nil {
		t.Fatal(err)
	}
	line := preparing.FindStringSubmatch(string(conf))
	if line == nil {
		t.Fatal("auth.conf shows no line that begins with nats consumer add")
	}
	s.deliver(t, `{"id":"d-1","action":"TaskCreated","context":{"entityId":"4711"}}`)
	text := strings.NewReplacer("acme", "demo", "ACME", "DEMO").Replace(line[1] + " " + line[2])
	shell, stdout, stderr := s.program(t, "sh", "-c", text)
	shell.Env = append(shell.Env, "PATH="+filepath.Dir(natsBinary))
	if err := shell.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", text, err, stdout, stderr)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got string
	if err := events.Subscribe(ctx, s.js, "factro.event.demo.task.*.TaskCreated", func(_ context.Context, e events.Event) error {
		got = e.EntityID
		cancel()
		return nil
	}, events.Prepared("mirror")); err != nil || got != "4711" {
		t.Errorf("got %q, %v", got, err)
	}
}
