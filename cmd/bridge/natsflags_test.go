package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/tests/freeport"
)

// talking are the commands that talk to NATS.
var talking = []string{
	"send", "query", "tail", "dead list", "dead show", "dead parked", "dead redrive", "dead drop", "reconcile", "canary", "streams diff",
}

// Whoever has learned to connect with one command can do so with all of them.
func TestSameFlagsEverywhere(t *testing.T) {
	t.Parallel()
	var want natsFlags
	all := &cobra.Command{}
	want.add(all)
	for _, name := range talking {
		cmd, _, err := newRoot().Find(strings.Fields(name))
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

// guarded is a NATS server that wants a user and a password.
func guarded(t *testing.T) (address string) {
	t.Helper()
	port, err := freeport.New()
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, Username: "ann", Password: "geheim", JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return fmt.Sprintf("nats://127.0.0.1:%d", port)
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every command reaches a server that wants credentials, by the bridge's configuration, by a context of the nats command and by
// flags, and none of them without.
func TestEveryCommandConnects(t *testing.T) {
	address := guarded(t)
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
		"reconcile", "canary --timeout 1s", "streams diff",
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
				root := newRoot()
				root.SetArgs(strings.Fields(line + " " + flags))
				root.SetOut(io.Discard)
				root.SetErr(io.Discard)
				err := root.ExecuteContext(t.Context())
				refused := err != nil && strings.Contains(strings.ToLower(err.Error()), "authorization violation")
				if refused != (how == "nothing") {
					t.Errorf("%v", err)
				}
				if usage, ok := errors.AsType[*exitError](err); ok && usage.code == exitUsage {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A flag wins over a context, that over the configuration, that over the environment, and credentials of different kinds are not
// mixed.
func TestWhichConnection(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("NATS_CONTEXT", "")
	write(t, filepath.Join(dir, "nats", "context", "prod.json"), `{"url":"nats://context:1","nkey":"$XDG_CONFIG_HOME/a.nk","jetstream_domain":"hub","inbox_prefix":"_ctx","ca":"ca.pem"}`)
	write(t, filepath.Join(dir, "nats", "context", "token.json"), `{"url":"nats://a:1,b:2","token":"t/k"}`)
	config := write(t, filepath.Join(dir, "bridge.yaml"), `
nats: {url: "nats://config:1", creds_file: config.creds, prefix: works, inbox_prefix: _cfg, api_prefix: JS.x}
clouds:
  - name: acme
    webhook: {header: X-Key, secrets: [{value: long-enough-secret}]}
    api: {key: {value: key}}
`)
	for name, tt := range map[string]struct {
		f    natsFlags
		env  map[string]string
		want bus.Config
		pre  string
	}{
		"nothing":     {want: bus.Config{URL: defaultNATS}, pre: "factro"},
		"environment": {env: map[string]string{"NATS_URL": "nats://env:1", "NATS_CREDS": "env.creds"}, want: bus.Config{URL: "nats://env:1", CredsFile: "env.creds"}, pre: "factro"},
		"flag over environment": {
			f: natsFlags{nkey: "f.nk"}, env: map[string]string{"NATS_URL": "nats://env:1", "NATS_CREDS": "env.creds"},
			want: bus.Config{URL: "nats://env:1", NkeyFile: "f.nk"}, pre: "factro",
		},
		"configuration over environment": {
			f: natsFlags{configFile: config}, env: map[string]string{"NATS_URL": "nats://env:1", "NATS_NKEY": "env.nk", "NATS_CONTEXT": "prod"},
			want: bus.Config{URL: "nats://config:1", CredsFile: "config.creds", InboxPrefix: "_cfg", APIPrefix: "JS.x"}, pre: "works",
		},
		"context over configuration": {
			f:    natsFlags{configFile: config, context: "prod"},
			want: bus.Config{URL: "nats://context:1", NkeyFile: dir + "/a.nk", InboxPrefix: "_ctx", Domain: "hub", TLS: bus.TLS{CAFile: "ca.pem"}}, pre: "works",
		},
		"flags over all": {
			f:    natsFlags{configFile: config, context: "prod", url: "nats://flag:1", creds: "f.creds", apiPrefix: "JS.f", inboxPrefix: "_f", prefix: "own"},
			want: bus.Config{URL: "nats://flag:1", CredsFile: "f.creds", InboxPrefix: "_f", APIPrefix: "JS.f", TLS: bus.TLS{CAFile: "ca.pem"}}, pre: "own",
		},
		"a token": {f: natsFlags{context: "token"}, want: bus.Config{URL: "nats://t%2Fk@a:1,nats://t%2Fk@b:2"}, pre: "factro"},
		"context of the environment": {
			env:  map[string]string{"NATS_CONTEXT": "token", "NATS_URL": "nats://env:1"},
			want: bus.Config{URL: "nats://env:1"}, pre: "factro",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			f := tt.f
			got, err := f.connection("x")
			if err != nil {
				t.Fatal(err)
			}
			if got.URL != tt.want.URL || got.CredsFile != tt.want.CredsFile || got.NkeyFile != tt.want.NkeyFile || got.InboxPrefix != tt.want.InboxPrefix ||
				got.APIPrefix != tt.want.APIPrefix || got.Domain != tt.want.Domain || got.TLS != tt.want.TLS || f.prefix != tt.pre {
				t.Errorf("%+v, prefix %s\nwant %+v, prefix %s", got, f.prefix, tt.want, tt.pre)
			}
			// What is no part of the way to NATS is the configuration's, whatever the way is.
			if tt.f.configFile != "" && (string(got.Prefix) != tt.pre || got.Replicas != 1 || !slices.Equal(got.Clouds, []string{"acme"})) {
				t.Errorf("prefix %q, %d replicas, clouds %q", got.Prefix, got.Replicas, got.Clouds)
			}
		})
	}
}

// An error names the field of a context that is not supported. It never shows the value.
func TestBadContexts(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	for name, tt := range map[string]struct{ text, want string }{
		"nsc":     {`{"nsc":"nsc://O/A/u"}`, "nsc: the bridge cannot connect with it"},
		"jwt":     {`{"user_jwt":"geheim"}`, "user_jwt: "},
		"proxy":   {`{"socks_proxy":"socks5://geheim@x"}`, "socks_proxy: "},
		"two":     {`{"creds":"a","user":"geheim"}`, "user, creds are all set"},
		"vault":   {`{"password":"op://geheim/x","user":"a"}`, "password: refers to op://"},
		"no JSON": {`geheim`, "is not the JSON of a context"},
		"a type":  {`{"user":["geheim"]}`, "user is a"},
		"../x":    {"", "is no name"},
	} {
		if name != "../x" {
			write(t, filepath.Join(dir, "nats", "context", name+".json"), tt.text)
		}
		f := natsFlags{context: name}
		_, err := f.connection("x")
		code, ok := errors.AsType[*exitError](err)
		if !ok || code.code != exitUsage || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	f := natsFlags{context: "nowhere"}
	if _, err := f.connection("x"); err == nil || !strings.Contains(err.Error(), "there are a type, jwt") {
		t.Errorf("a context that is not there: %v", err)
	}
}

// The only cloud need not be named. Of several none is taken for the default, whatever it is called.
func TestWhichCloud(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		clouds []string
		want   int
		told   string
	}{
		{"", []string{"acme"}, 0, ""},
		{"beta", []string{"acme", "beta"}, 1, ""},
		{"", []string{"acme", "demo"}, -1, "which one? There are acme, demo"},
		{"gamma", []string{"acme"}, -1, `"gamma" is not in the configuration; there is only acme`},
		{"gamma", []string{"acme", "beta"}, -1, `"gamma" is not in the configuration; there are acme, beta`},
	} {
		got, err := oneCloud(tt.name, tt.clouds, "in the configuration")
		if got != tt.want || (err == nil) != (tt.told == "") || err != nil && !strings.Contains(err.Error(), tt.told) {
			t.Errorf("%q of %v: %d, %v", tt.name, tt.clouds, got, err)
		}
	}
}

// TestErrorsNameFlags: who connects by flags or by a context reads of those, and who connects by the configuration of its settings.
func TestErrorsNameFlags(t *testing.T) {
	address := guarded(t)
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
		f           natsFlags
		want, never string
	}{
		"context":       {natsFlags{context: "prod"}, "with the NATS context prod: --creds: open /nowhere.creds: ", "nats.creds_file"},
		"flag":          {natsFlags{url: address, nkey: "/nowhere.nk"}, "--nkey: open /nowhere.nk: ", "nats.nkey_file"},
		"refused":       {natsFlags{url: address}, "look at --user and --password-file, --creds, --nkey or the user in --nats", "nats.url"},
		"configuration": {natsFlags{configFile: config}, "nats.creds_file", "--creds"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tt.f.dial()
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), tt.never) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestNoJetStream: without JetStream nobody is told that a right is missing.
func TestNoJetStream(t *testing.T) {
	t.Parallel()
	port, err := freeport.New()
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	f := natsFlags{url: fmt.Sprintf("nats://127.0.0.1:%d", port)}
	client, err := f.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := f.clouds(t.Context(), client); err == nil || !strings.Contains(err.Error(), "there is no JetStream at nats://127.0.0.1:") || strings.Contains(err.Error(), "right to list") {
		t.Errorf("got %v", err)
	}
}
