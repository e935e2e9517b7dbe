package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// natsCommands are the commands that use NATS.
var natsCommands = []string{
	"send", "query", "tail", "dead list", "dead show", "dead parked", "dead redrive", "dead drop", "reconcile", "canary", "streams diff", "status", "get", "watch",
}

// All commands have the same flags for the connection.
func TestSameFlagsEverywhere(t *testing.T) {
	t.Parallel()
	var want connect.Flags
	all := &cobra.Command{}
	want.Add(all)
	for _, name := range natsCommands {
		cmd, _, err := newRoot("test").Find(strings.Fields(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range []string{
			"config", "context", "nats", "creds", "nkey", "user", "password-file", "tlsca", "tlscert", "tlskey", "tlsfirst", "inbox-prefix", "js-api-prefix",
			"js-domain", "domain", "prefix",
		} {
			got, same := cmd.Flags().Lookup(flag), all.Flags().Lookup(flag)
			if got == nil || got.Usage != same.Usage || got.Shorthand != same.Shorthand || got.DefValue != same.DefValue {
				t.Errorf("%s: --%s is not as elsewhere: %+v", name, flag, got)
			}
		}
	}
}

// protectedServer is a NATS server that requires a user and a password.
func protectedServer(t *testing.T) (address string) {
	t.Helper()
	return natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "ann", "geheim" }).URL()
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every command can connect to a server that requires credentials: by the bridge's configuration, by a context of the nats command, and
// by flags. Without credentials none can.
func TestEveryCommandConnects(t *testing.T) {
	address := protectedServer(t)
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	user, password := write(t, filepath.Join(dir, "user"), "ann"), write(t, filepath.Join(dir, "password"), "geheim")
	config := write(t, filepath.Join(dir, "bridge.yaml"), fmt.Sprintf(`
nats: {url: %q, user_file: %q, password_file: %q, prefix: works}
clouds:
  - name: acme
    webhook: {header: X-Key, secrets: [{value: long-enough-secret}]}
    api: {url: "http://127.0.0.1:1", key: {value: key}}
`, address, user, password))
	write(t, filepath.Join(dir, "nats", "context", "works.json"), fmt.Sprintf(`{"description":"","url":%q,"user":"ann","password":"geheim"}`, address))
	bare := write(t, filepath.Join(dir, "bare.yaml"), strings.ReplaceAll(readFile(t, config), fmt.Sprintf("user_file: %q, password_file: %q, ", user, password), ""))
	lines := []string{
		"send createTask title=a targetParentId=b --cloud acme --timeout 1s", "query getUserQuota --cloud acme --timeout 1s", "tail events --cloud acme",
		"dead list --cloud acme", "dead show 1 --cloud acme", "dead parked --cloud acme", "dead redrive 1 --cloud acme", "dead drop 1 --yes --cloud acme",
		"reconcile", "canary --timeout 1s", "streams diff", "status --cloud acme",
	}
	for _, line := range lines { //nolint:paralleltest // the test sets the environment
		needsConfig := strings.HasPrefix(line, "reconcile") || strings.HasPrefix(line, "canary") || strings.HasPrefix(line, "streams")
		for how, flags := range map[string]string{
			"config": "--config " + config, "context": "--context works", "flags": "--nats " + address + " --user ann --password-file " + password,
			"nothing": "--nats " + address,
		} {
			if needsConfig && how != "config" {
				flags += " --config " + bare
			}
			t.Run(line+" by "+how, func(t *testing.T) {
				root := newRoot("test")
				root.SetArgs(strings.Fields(line + " " + flags))
				root.SetOut(io.Discard)
				root.SetErr(io.Discard)
				err := root.ExecuteContext(t.Context())
				refused := err != nil && strings.Contains(strings.ToLower(err.Error()), "authorization violation")
				if refused != (how == "nothing") {
					t.Errorf("%v", err)
				}
				if usage, ok := errors.AsType[*exit.Error](err); ok && usage.Code == exit.WrongUsage {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// TestErrorsNameFlags: errors of a connection by flags or by a context name the flags and the context. Errors of a connection by the
// configuration name its settings.
func TestErrorsNameFlags(t *testing.T) {
	address := protectedServer(t)
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("NATS_CONTEXT", "")
	write(t, filepath.Join(dir, "nats", "context", "prod.json"), fmt.Sprintf(`{"url":%q,"creds":"/nowhere.creds"}`, address))
	config := write(t, filepath.Join(dir, "bridge.yaml"), fmt.Sprintf(`
nats: {url: %q}
clouds:
  - name: acme
    webhook: {header: X-Key, secrets: [{value: long-enough-secret}]}
    api: {url: "http://127.0.0.1:1", key: {value: key}}
`, address))
	for name, tt := range map[string]struct { //nolint:paralleltest // the test sets the environment
		flags       string
		want, never string
	}{
		"context":       {"--context prod", "with the NATS context prod: --creds: open /nowhere.creds: ", "nats.creds_file"},
		"flag":          {"--nats " + address + " --nkey /nowhere.nk", "--nkey: open /nowhere.nk: ", "nats.nkey_file"},
		"refused":       {"--nats " + address, "look at --user and --password-file, --creds, --nkey or the user in --nats", "nats.url"},
		"configuration": {"--config " + config, "nats.creds_file", "--creds"},
	} {
		t.Run(name, func(t *testing.T) {
			root := newRoot("test")
			root.SetArgs(strings.Fields("tail events " + tt.flags))
			root.SetOut(io.Discard)
			root.SetErr(io.Discard)
			err := root.ExecuteContext(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), tt.never) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
