package connect

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// A flag takes precedence over a context, a context over the configuration, and the configuration over the environment. Credentials of
// different kinds are not mixed.
func TestConnectionPrecedence(t *testing.T) {
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
		f    Flags
		env  map[string]string
		want bus.Config
		pre  string
	}{
		"nothing":     {want: bus.Config{URL: defaultNATS}, pre: "factro"},
		"environment": {env: map[string]string{"NATS_URL": "nats://env:1", "NATS_CREDS": "env.creds"}, want: bus.Config{URL: "nats://env:1", CredsFile: "env.creds"}, pre: "factro"},
		"flag over environment": {
			f: Flags{nkey: "f.nk"}, env: map[string]string{"NATS_URL": "nats://env:1", "NATS_CREDS": "env.creds"},
			want: bus.Config{URL: "nats://env:1", NkeyFile: "f.nk"}, pre: "factro",
		},
		"configuration over environment": {
			f: Flags{ConfigFile: config}, env: map[string]string{"NATS_URL": "nats://env:1", "NATS_NKEY": "env.nk", "NATS_CONTEXT": "prod"},
			want: bus.Config{URL: "nats://config:1", CredsFile: "config.creds", InboxPrefix: "_cfg", APIPrefix: "JS.x"}, pre: "works",
		},
		"context over configuration": {
			f:    Flags{ConfigFile: config, context: "prod"},
			want: bus.Config{URL: "nats://context:1", NkeyFile: dir + "/a.nk", InboxPrefix: "_ctx", Domain: "hub", TLS: bus.TLS{CAFile: "ca.pem"}}, pre: "works",
		},
		"flags over all": {
			f:    Flags{ConfigFile: config, context: "prod", url: "nats://flag:1", creds: "f.creds", apiPrefix: "JS.f", inboxPrefix: "_f", Prefix: "own"},
			want: bus.Config{URL: "nats://flag:1", CredsFile: "f.creds", InboxPrefix: "_f", APIPrefix: "JS.f", TLS: bus.TLS{CAFile: "ca.pem"}}, pre: "own",
		},
		"a token": {f: Flags{context: "token"}, want: bus.Config{URL: "nats://t%2Fk@a:1,nats://t%2Fk@b:2"}, pre: "factro"},
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
			got, err := f.Connection("x")
			if err != nil {
				t.Fatal(err)
			}
			if got.URL != tt.want.URL || got.CredsFile != tt.want.CredsFile || got.NkeyFile != tt.want.NkeyFile || got.InboxPrefix != tt.want.InboxPrefix ||
				got.APIPrefix != tt.want.APIPrefix || got.Domain != tt.want.Domain || got.TLS != tt.want.TLS || f.Prefix != tt.pre {
				t.Errorf("%+v, prefix %s\nwant %+v, prefix %s", got, f.Prefix, tt.want, tt.pre)
			}
			// Settings that are not about the connection always come from the configuration.
			if tt.f.ConfigFile != "" && (string(got.Prefix) != tt.pre || got.Replicas != 1 || !slices.Equal(got.Clouds, []string{"acme"})) {
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
		"../x":    {"", "is not a name"},
	} {
		if name != "../x" {
			write(t, filepath.Join(dir, "nats", "context", name+".json"), tt.text)
		}
		f := Flags{context: name}
		_, err := f.Connection("x")
		code, ok := errors.AsType[*exit.Error](err)
		if !ok || code.Code != exit.WrongUsage || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	f := Flags{context: "nowhere"}
	if _, err := f.Connection("x"); err == nil || !strings.Contains(err.Error(), "there are a type, jwt") {
		t.Errorf("a context that does not exist: %v", err)
	}
}

// A single cloud need not be named. With several clouds there is no default.
func TestChooseCloud(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		clouds  []string
		want    int
		wantErr string
	}{
		{"", []string{"acme"}, 0, ""},
		{"beta", []string{"acme", "beta"}, 1, ""},
		{"", []string{"acme", "demo"}, -1, "which one? There are acme, demo"},
		{"gamma", []string{"acme"}, -1, `"gamma" is not in the configuration; there is only acme`},
		{"gamma", []string{"acme", "beta"}, -1, `"gamma" is not in the configuration; there are acme, beta`},
	} {
		got, err := oneCloud(tt.name, tt.clouds, "in the configuration")
		if got != tt.want || (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
			t.Errorf("%q of %v: %d, %v", tt.name, tt.clouds, got, err)
		}
	}
}

// TestNoJetStream: without JetStream the error does not say that a right is missing.
func TestNoJetStream(t *testing.T) {
	t.Parallel()
	f := Flags{url: natstest.Start(t, func(o *server.Options) { o.JetStream = false }).URL()}
	client, err := f.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := f.Clouds(t.Context(), client); err == nil || !strings.Contains(err.Error(), "there is no JetStream at nats://127.0.0.1:") || strings.Contains(err.Error(), "right to list") {
		t.Errorf("got %v", err)
	}
}
