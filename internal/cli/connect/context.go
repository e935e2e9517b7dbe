package connect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// natsContext is a context of the nats command: a file that says how to connect. Fields that do not affect our connections are left
// out.
type natsContext struct {
	URL         string        `json:"url"`
	Token       secret.String `json:"token"`
	User        secret.String `json:"user"`
	Password    secret.String `json:"password"`
	Creds       string        `json:"creds"`
	NKey        string        `json:"nkey"`
	Cert        string        `json:"cert"`
	Key         string        `json:"key"`
	CA          string        `json:"ca"`
	Domain      string        `json:"jetstream_domain"`
	APIPrefix   string        `json:"jetstream_api_prefix"`
	InboxPrefix string        `json:"inbox_prefix"`
	TLSFirst    bool          `json:"tls_first"`

	// Settings that we do not support. Connecting without them would be a different connection.
	NSC        string        `json:"nsc"`
	UserJWT    secret.String `json:"user_jwt"`
	UserSeed   secret.String `json:"user_seed"`
	SOCKSProxy string        `json:"socks_proxy"`
	WinCerts   string        `json:"windows_cert_store"`
}

// contextFolder is where the nats command keeps its contexts.
func contextFolder() (string, error) {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "nats", "context"), nil
}

// contextNames are the names of the existing contexts.
func contextNames() []string {
	dir, err := contextFolder()
	if err != nil {
		return nil
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.json")) // the pattern is well formed
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = strings.TrimSuffix(filepath.Base(file), ".json")
	}
	return names
}

// loadContext reads the context with this name.
func loadContext(name string) (bus.Config, error) {
	if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
		return bus.Config{}, fmt.Errorf("%q is not a name of a NATS context", name)
	}
	dir, err := contextFolder()
	if err != nil {
		return bus.Config{}, fmt.Errorf("NATS context %s: %w", name, err)
	}
	path := filepath.Join(dir, name+".json")
	text, err := os.ReadFile(path) //nolint:gosec // the user of the command names the context
	if errors.Is(err, fs.ErrNotExist) {
		have := "\"nats context add\" makes one"
		if names := contextNames(); len(names) > 0 {
			have = listOf(names)
		}
		return bus.Config{}, fmt.Errorf("NATS context %s: there is no file %s; %s", name, path, have)
	}
	if err != nil {
		return bus.Config{}, fmt.Errorf("NATS context %s: %w", name, err)
	}
	var c natsContext
	if err := json.Unmarshal(text, &c); err != nil {
		return bus.Config{}, fmt.Errorf("NATS context %s: %s is not the JSON of a context: %w", name, path, withoutValue(err))
	}
	out, err := c.config()
	if err != nil {
		return bus.Config{}, fmt.Errorf("NATS context %s: %s: %w", name, path, err)
	}
	return out, nil
}

// withoutValue is a decoder error with the field and the type, but without the value.
func withoutValue(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s is a %s", wrong.Field, strings.Fields(wrong.Value)[0])
	}
	return err
}

func (c natsContext) config() (bus.Config, error) {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"nsc", c.NSC != ""},
		{"user_jwt", c.UserJWT != ""},
		{"user_seed", c.UserSeed != ""},
		{"socks_proxy", c.SOCKSProxy != ""},
		{"windows_cert_store", c.WinCerts != ""},
	} {
		if f.set {
			return bus.Config{}, fmt.Errorf("%s: the bridge cannot connect with it; use --creds, --nkey or --tls* with the files instead of the context", f.name)
		}
	}
	kinds := slices.DeleteFunc([]string{"token", "user", "creds", "nkey"}, func(name string) bool {
		return map[string]string{"token": c.Token.Reveal(), "user": c.User.Reveal(), "creds": c.Creds, "nkey": c.NKey}[name] == ""
	})
	if len(kinds) > 1 {
		return bus.Config{}, fmt.Errorf("%s are all set; use one kind of credentials", strings.Join(kinds, ", "))
	}
	for name, value := range map[string]string{
		"token": c.Token.Reveal(), "password": c.Password.Reveal(), "creds": c.Creds, "nkey": c.NKey, "cert": c.Cert, "key": c.Key, "ca": c.CA,
	} {
		scheme, _, ok := strings.Cut(value, "://")
		if ok && slices.Contains([]string{"op", "nsc", "env", "data", "file"}, scheme) {
			return bus.Config{}, fmt.Errorf("%s: refers to %s://, which only the nats command resolves; use a flag with the path of a file", name, scheme)
		}
	}
	out := bus.Config{
		URL: c.URL, CredsFile: contextPath(c.Creds), NkeyFile: contextPath(c.NKey),
		TLS: bus.TLS{
			CAFile: contextPath(c.CA), CertFile: contextPath(c.Cert), KeyFile: contextPath(c.Key), HandshakeFirst: c.TLSFirst,
		},
		InboxPrefix: c.InboxPrefix, APIPrefix: c.APIPrefix, Domain: c.Domain,
	}
	if out.URL == "" {
		out.URL = defaultNATS
	}
	if c.Domain != "" {
		out.APIPrefix = "" // as the nats command does
	}
	if c.User != "" {
		out.User, out.Password = secret.Source{Value: c.User}, secret.Source{Value: c.Password}
	}
	if c.Token != "" {
		out.URL = withToken(out.URL, c.Token)
	}
	return out, nil
}

// withToken adds a token to the address of each server, where the client expects it.
func withToken(addresses string, token secret.String) string {
	list := strings.Split(addresses, ",")
	for i, address := range list {
		address = strings.TrimSpace(address)
		scheme, host, ok := strings.Cut(address, "://")
		if !ok {
			scheme, host = "nats", address
		}
		if !strings.Contains(host, "@") {
			list[i] = scheme + "://" + url.User(token.Reveal()).String() + "@" + host
		}
	}
	return strings.Join(list, ",")
}

// contextPath is a path as the nats command reads it. The connection itself resolves a path that begins with ~.
func contextPath(path string) string { return os.ExpandEnv(path) }
