package connect

import (
	"cmp"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Flags are the flags of the commands that use NATS. They are the same for all.
type Flags struct {
	ConfigFile, context             string
	url, creds, nkey, Prefix, Cloud string
	user, passwordFile              string
	inboxPrefix, apiPrefix, domain  string
	tls                             bus.TLS

	// Config is the bridge's configuration once it was read, and nil if the user named none.
	Config *config.Config
}

const defaultNATS = "nats://127.0.0.1:4222"

// Add declares the flags. The defaults fit "bridge dev" and the variables of the nats command.
func (f *Flags) Add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.ConfigFile, "config", "c", "", "the bridge's configuration `file`, for the connection, prefix and clouds")
	flags.StringVar(&f.context, "context", "", "`name` of a context of the nats command to connect with (default $NATS_CONTEXT)")
	flags.StringVar(&f.url, "nats", "", "`URL` of the NATS server (default $NATS_URL, else "+defaultNATS+")")
	flags.StringVar(&f.creds, "creds", "", "credentials `file` (default $NATS_CREDS)")
	flags.StringVar(&f.nkey, "nkey", "", "nkey `file` instead of credentials (default $NATS_NKEY)")
	flags.StringVar(&f.user, "user", "", "`name` of the user (default $NATS_USER)")
	flags.StringVar(&f.passwordFile, "password-file", "", "`file` with the user's password (else $NATS_PASSWORD is the password)")
	flags.StringVar(&f.tls.CAFile, "tlsca", "", "`file` with the CA certificate to trust (default $NATS_CA)")
	flags.StringVar(&f.tls.CertFile, "tlscert", "", "`file` with the client's certificate (default $NATS_CERT)")
	flags.StringVar(&f.tls.KeyFile, "tlskey", "", "`file` with the key of that certificate (default $NATS_KEY)")
	flags.BoolVar(&f.tls.HandshakeFirst, "tlsfirst", false, "start with the TLS handshake, if the server requires it")
	flags.StringVar(&f.inboxPrefix, "inbox-prefix", "", "prefix of the inboxes (default $NATS_INBOX_PREFIX, else _INBOX)")
	flags.StringVar(&f.apiPrefix, "js-api-prefix", "", "prefix of the JetStream API (default $NATS_JS_API_PREFIX, else $JS.API)")
	flags.StringVar(&f.domain, "js-domain", "", "`name` of the JetStream domain (default $NATS_JS_DOMAIN)")
	flags.StringVar(&f.domain, "domain", "", "old name of --js-domain, which is the name that the nats command uses")
	_ = flags.MarkHidden("domain") // the flag exists
	flags.StringVar(&f.Prefix, "prefix", "", "first token of the subjects (default that of --config, else "+events.DefaultPrefix+")")
	_ = cmd.RegisterFlagCompletionFunc("context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return contextNames(), cobra.ShellCompDirectiveNoFileComp
	})
}

// Dial reads the configuration, if one is named, and connects.
func (f *Flags) Dial() (*client.Client, error) {
	c, err := f.Connection("bridge command line")
	if err != nil {
		return nil, err
	}
	return f.Connect(c)
}

// flagNames replaces the settings in errors of the bus by the flags.
var flagNames = strings.NewReplacer(
	"nats.creds_file", "--creds", "nats.nkey_file", "--nkey", "nats.user_file", "--user", "nats.password_file", "--password-file",
	"nats.tls.ca_file", "--tlsca", "nats.tls.cert_file", "--tlscert", "nats.tls.key_file", "--tlskey",
	"nats.url", "--nats", "nats.inbox_prefix", "--inbox-prefix", "nats.api_prefix", "--js-api-prefix", "nats.domain", "--js-domain",
)

// Connect connects. If the connection does not come from the configuration, errors name the context, and flags instead of settings.
func (f *Flags) Connect(c bus.Config) (*client.Client, error) {
	client, err := client.Dial(c)
	if err == nil || f.Config != nil && f.context == "" {
		return client, err
	}
	text := flagNames.Replace(err.Error())
	if named := cmp.Or(f.context, os.Getenv("NATS_CONTEXT")); named != "" {
		text = "with the NATS context " + named + ": " + text
	}
	return nil, exit.Reword(text, err)
}

// BridgeConfig is the bridge's configuration, from the file in --config or from the environment alone. --prefix overrides its prefix.
func (f *Flags) BridgeConfig() (config.Config, error) {
	if f.Config == nil {
		cfg, err := config.Load(f.ConfigFile, os.Environ())
		if err != nil {
			return config.Config{}, exit.With(exit.WrongUsage, err)
		}
		cfg.NATS.Prefix = cmp.Or(f.Prefix, cfg.NATS.Prefix)
		f.Config, f.Prefix = &cfg, cfg.NATS.Prefix
	}
	return *f.Config, nil
}

// Connection says how to connect. Flags come first, then the context, the configuration and the environment. All credentials come
// from the first source that has any.
func (f *Flags) Connection(name string) (bus.Config, error) {
	c := bus.Config{URL: defaultNATS}
	if f.ConfigFile != "" {
		if _, err := f.BridgeConfig(); err != nil {
			return bus.Config{}, err
		}
	}
	named := cmp.Or(f.context, os.Getenv("NATS_CONTEXT"))
	var err error
	switch {
	case f.context == "" && f.Config != nil:
		c, err = f.Config.Connection()
	case named != "":
		if c, err = loadContext(named); err != nil {
			err = exit.With(exit.WrongUsage, err)
		}
		if f.Config != nil {
			c = f.Config.ConnectionBy(c)
		}
	}
	if err != nil {
		return bus.Config{}, err
	}
	if f.context == "" && f.Config == nil { // the command line takes precedence over the environment
		env := f.environment()
		if strings.Contains(f.url, "@") { // a user in the address takes precedence too
			env.creds, env.nkey, env.user = "", "", ""
		}
		env.applyTo(&c)
	}
	if f.user != "" && f.passwordFile == "" && os.Getenv("NATS_PASSWORD") == "" {
		return bus.Config{}, exit.Usage("--user: there is no password; use --password-file, or set $NATS_PASSWORD")
	}
	if f.user == "" && f.passwordFile != "" {
		c.Password = secret.Source{File: f.passwordFile}
	}
	f.applyTo(&c)
	if f.passwordFile != "" && c.User.IsZero() {
		return bus.Config{}, exit.Usage("--password-file: there is no user; use --user, or set $NATS_USER")
	}
	if !c.User.IsZero() && c.Password.IsZero() {
		return bus.Config{}, exit.Usage("user: there is no password; use --password-file or set $NATS_PASSWORD")
	}
	c.Name = name
	f.Prefix = cmp.Or(f.Prefix, events.DefaultPrefix)
	return c, nil
}

// environment returns flags that are set from the variables of the nats command.
func (f *Flags) environment() *Flags {
	return &Flags{
		url: os.Getenv("NATS_URL"), creds: os.Getenv("NATS_CREDS"), nkey: os.Getenv("NATS_NKEY"), user: os.Getenv("NATS_USER"), passwordFile: f.passwordFile,
		tls:         bus.TLS{CAFile: os.Getenv("NATS_CA"), CertFile: os.Getenv("NATS_CERT"), KeyFile: os.Getenv("NATS_KEY")},
		inboxPrefix: os.Getenv("NATS_INBOX_PREFIX"), apiPrefix: os.Getenv("NATS_JS_API_PREFIX"), domain: os.Getenv("NATS_JS_DOMAIN"),
	}
}

// applyTo overrides a connection with the flags that are set. One kind of credentials replaces another.
func (f *Flags) applyTo(c *bus.Config) {
	c.URL = cmp.Or(f.url, c.URL)
	if f.creds != "" || f.nkey != "" || f.user != "" {
		c.CredsFile, c.NkeyFile, c.User, c.Password = f.creds, f.nkey, secret.Source{}, secret.Source{}
		if f.user != "" {
			c.User = secret.Source{Value: secret.String(f.user)}
			c.Password = secret.Source{Value: secret.String(os.Getenv("NATS_PASSWORD"))}
			if f.passwordFile != "" {
				c.Password = secret.Source{File: f.passwordFile}
			}
		}
	}
	c.TLS.CAFile = cmp.Or(f.tls.CAFile, c.TLS.CAFile)
	c.TLS.CertFile, c.TLS.KeyFile = cmp.Or(f.tls.CertFile, c.TLS.CertFile), cmp.Or(f.tls.KeyFile, c.TLS.KeyFile)
	c.TLS.HandshakeFirst = c.TLS.HandshakeFirst || f.tls.HandshakeFirst
	c.InboxPrefix = cmp.Or(f.inboxPrefix, c.InboxPrefix)
	switch {
	case f.domain != "":
		c.Domain, c.APIPrefix = f.domain, ""
	case f.apiPrefix != "":
		c.Domain, c.APIPrefix = "", f.apiPrefix
	}
}
