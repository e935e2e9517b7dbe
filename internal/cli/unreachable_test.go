package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/tests/freeport"
)

// TestUnreachable: each command that needs NATS says which server it could not reach, and why.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	port, err := freeport.New()
	if err != nil {
		t.Fatal(err)
	}
	server := fmt.Sprintf("127.0.0.1:%d", port)
	config := filepath.Join(t.TempDir(), "bridge.yaml")
	text := fmt.Sprintf("nats: {url: %q}\nclouds:\n  - name: acme\n    webhook: {header: X-Key, secrets: [{value: long-enough-secret}]}\n    api: {url: \"http://127.0.0.1:1\", key: {value: key}}\n", "nats://"+server)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"send createTask title=a targetParentId=b", "query getUserQuota", "tail events", "dead list", "dead show 1", "dead redrive 1", "dead drop 1 --yes",
		"reconcile --config " + config, "canary --config " + config,
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			list := strings.Fields(args)
			if !strings.Contains(args, "--config") {
				list = append(list, "--nats", "nats://"+server)
				if strings.HasPrefix(args, "dead") {
					list = append(list, "--cloud", "acme")
				}
			}
			root := newRoot("test")
			root.SetArgs(list)
			root.SetOut(io.Discard)
			root.SetErr(io.Discard)
			err := root.ExecuteContext(t.Context())
			if err == nil || !strings.Contains(err.Error(), server) || !strings.Contains(err.Error(), "connection refused") {
				t.Errorf("it says %v", err)
			}
		})
	}
}

// TestUserWithoutPassword: a user without a password, or a password without a user, is a mistake in the command line. The error names
// the flags.
func TestUserWithoutPassword(t *testing.T) {
	t.Setenv("NATS_USER", "")
	t.Setenv("NATS_PASSWORD", "")
	for _, args := range [][]string{{"--user", "bob"}, {"--password-file", "file"}} {
		root := newRoot("test")
		root.SetArgs(append([]string{"tail", "events", "--cloud", "acme", "--nats", "nats://127.0.0.1:1"}, args...))
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		err := root.ExecuteContext(t.Context())
		if code, ok := errors.AsType[*exit.Error](err); !ok || code.Code != exit.WrongUsage || !strings.Contains(err.Error(), "--user") && !strings.Contains(err.Error(), "--password-file") {
			t.Errorf("%v: %v", args, err)
		}
	}
}
