package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// natsFlags are the flags of the commands that talk to NATS. They are the same for all.
type natsFlags struct {
	configFile, context             string
	url, creds, nkey, prefix, cloud string
	user, passwordFile              string
	inboxPrefix, apiPrefix, domain  string
	tls                             bus.TLS

	// cfg is the bridge's configuration once it was read, nil if nobody named one.
	cfg *config.Config
}

const defaultNATS = "nats://127.0.0.1:4222"

// add declares the flags. The defaults are what "bridge dev" prints, and what the nats command itself reads.
func (f *natsFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.configFile, "config", "c", "", "the bridge's configuration `file`: its connection, prefix and clouds are used")
	flags.StringVar(&f.context, "context", "", "`name` of a context of the nats command to connect with (default $NATS_CONTEXT)")
	flags.StringVar(&f.url, "nats", "", "`URL` of the NATS server (default $NATS_URL, else "+defaultNATS+")")
	flags.StringVar(&f.creds, "creds", "", "credentials `file` (default $NATS_CREDS)")
	flags.StringVar(&f.nkey, "nkey", "", "nkey `file` in place of credentials (default $NATS_NKEY)")
	flags.StringVar(&f.user, "user", "", "`name` of the user (default $NATS_USER)")
	flags.StringVar(&f.passwordFile, "password-file", "", "`file` with the user's password (else $NATS_PASSWORD is the password)")
	flags.StringVar(&f.tls.CAFile, "tlsca", "", "`file` with the certificate of the authority to trust (default $NATS_CA)")
	flags.StringVar(&f.tls.CertFile, "tlscert", "", "`file` with the client's certificate (default $NATS_CERT)")
	flags.StringVar(&f.tls.KeyFile, "tlskey", "", "`file` with the key of that certificate (default $NATS_KEY)")
	flags.BoolVar(&f.tls.HandshakeFirst, "tlsfirst", false, "begin with the TLS handshake, as a server may demand")
	flags.StringVar(&f.inboxPrefix, "inbox-prefix", "", "what the inboxes begin with (default $NATS_INBOX_PREFIX, else _INBOX)")
	flags.StringVar(&f.apiPrefix, "js-api-prefix", "", "where the API of JetStream is (default $NATS_JS_API_PREFIX, else $JS.API)")
	flags.StringVar(&f.domain, "js-domain", "", "`name` of the JetStream domain (default $NATS_JS_DOMAIN)")
	flags.StringVar(&f.domain, "domain", "", "the same as --js-domain, which is the name that the nats command has for it")
	_ = flags.MarkHidden("domain") // it is there
	flags.StringVar(&f.prefix, "prefix", "", "first token of the subjects (default that of --config, else "+events.DefaultPrefix+")")
	_ = cmd.RegisterFlagCompletionFunc("context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return contextNames(), cobra.ShellCompDirectiveNoFileComp
	})
}

// dial reads the configuration, if one is named, and connects.
func (f *natsFlags) dial() (*bus.Client, error) {
	c, err := f.connection("bridge command line")
	if err != nil {
		return nil, err
	}
	return f.reach(c)
}

// flagNames are the flags in place of the settings that the bus names in its errors.
var flagNames = strings.NewReplacer(
	"nats.creds_file", "--creds", "nats.nkey_file", "--nkey", "nats.user_file", "--user", "nats.password_file", "--password-file",
	"nats.tls.ca_file", "--tlsca", "nats.tls.cert_file", "--tlscert", "nats.tls.key_file", "--tlskey",
	"nats.url", "--nats", "nats.inbox_prefix", "--inbox-prefix", "nats.api_prefix", "--js-api-prefix", "nats.domain", "--js-domain",
)

// reach connects. If the configuration does not say how, an error names the context, and flags in place of settings.
func (f *natsFlags) reach(c bus.Config) (*bus.Client, error) {
	client, err := bus.Dial(c)
	if err == nil || f.cfg != nil && f.context == "" {
		return client, err
	}
	text := flagNames.Replace(err.Error())
	if named := cmp.Or(f.context, os.Getenv("NATS_CONTEXT")); named != "" {
		text = "with the NATS context " + named + ": " + text
	}
	return nil, &rewordedError{text, err}
}

// bridgeConfig is the bridge's configuration: of the file that is named, or of the environment alone. Its prefix is that of
// the flag, if that is set.
func (f *natsFlags) bridgeConfig() (config.Config, error) {
	if f.cfg == nil {
		cfg, err := config.Load(f.configFile, os.Environ())
		if err != nil {
			return config.Config{}, &exitError{exitUsage, err}
		}
		cfg.NATS.Prefix = cmp.Or(f.prefix, cfg.NATS.Prefix)
		f.cfg, f.prefix = &cfg, cfg.NATS.Prefix
	}
	return *f.cfg, nil
}

// connection says how to connect: as the flags say, else the context, else the configuration, else the environment. The
// credentials are all of the first one that has any.
func (f *natsFlags) connection(name string) (bus.Config, error) {
	c := bus.Config{URL: defaultNATS}
	if f.configFile != "" {
		if _, err := f.bridgeConfig(); err != nil {
			return bus.Config{}, err
		}
	}
	named := cmp.Or(f.context, os.Getenv("NATS_CONTEXT"))
	var err error
	switch {
	case f.context == "" && f.cfg != nil:
		c, err = f.cfg.Connection()
	case named != "":
		if c, err = loadContext(named); err != nil {
			err = &exitError{exitUsage, err}
		}
		if f.cfg != nil {
			c = f.cfg.ConnectionBy(c)
		}
	}
	if err != nil {
		return bus.Config{}, err
	}
	if f.context == "" && f.cfg == nil { // what is named on the command line wins over the environment
		env := f.environment()
		if strings.Contains(f.url, "@") { // so does a user in its address
			env.creds, env.nkey, env.user = "", "", ""
		}
		env.over(&c)
	}
	if f.user != "" && f.passwordFile == "" && os.Getenv("NATS_PASSWORD") == "" {
		return bus.Config{}, usage("--user: there is no password; give --password-file, or set $NATS_PASSWORD")
	}
	if f.user == "" && f.passwordFile != "" {
		c.Password = secret.Source{File: f.passwordFile}
	}
	f.over(&c)
	if f.passwordFile != "" && c.User.IsZero() {
		return bus.Config{}, usage("--password-file: whose password is it? Give --user, or set $NATS_USER")
	}
	if !c.User.IsZero() && c.Password.IsZero() {
		return bus.Config{}, usage("user: there is no password for it; give --password-file or $NATS_PASSWORD")
	}
	c.Name = name
	f.prefix = cmp.Or(f.prefix, events.DefaultPrefix)
	return c, nil
}

// environment are the flags as the variables that the nats command knows would set them.
func (f *natsFlags) environment() *natsFlags {
	return &natsFlags{
		url: os.Getenv("NATS_URL"), creds: os.Getenv("NATS_CREDS"), nkey: os.Getenv("NATS_NKEY"), user: os.Getenv("NATS_USER"), passwordFile: f.passwordFile,
		tls:         bus.TLS{CAFile: os.Getenv("NATS_CA"), CertFile: os.Getenv("NATS_CERT"), KeyFile: os.Getenv("NATS_KEY")},
		inboxPrefix: os.Getenv("NATS_INBOX_PREFIX"), apiPrefix: os.Getenv("NATS_JS_API_PREFIX"), domain: os.Getenv("NATS_JS_DOMAIN"),
	}
}

// over writes what is set over a connection. A kind of credentials takes the place of another one.
func (f *natsFlags) over(c *bus.Config) {
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

// configuredCloud is the cloud in --cloud, or the only one of the configuration.
func (f *natsFlags) configuredCloud() (config.Cloud, error) {
	cfg, err := f.bridgeConfig()
	if err != nil {
		return config.Cloud{}, err
	}
	names := make([]string, len(cfg.Clouds))
	for i, c := range cfg.Clouds {
		names[i] = c.Name
	}
	i, err := oneCloud(f.cloud, names, "in the configuration")
	if err != nil {
		return config.Cloud{}, err
	}
	f.cloud = names[i]
	return cfg.Clouds[i], nil
}

// clouds are those that are meant: the one in --cloud, else those of the configuration if one is named, else all that have
// streams.
func (f *natsFlags) clouds(ctx context.Context, client *bus.Client) ([]string, error) {
	switch {
	case f.cloud != "":
		return []string{f.cloud}, nil
	case f.cfg != nil:
		var names []string
		for _, c := range f.cfg.Clouds {
			names = append(names, c.Name)
		}
		return names, nil
	}
	return client.Clouds(ctx, events.Prefix(f.prefix))
}

// noStream adds to the error of a stream that is not there that no bridge serves the cloud.
func (f *natsFlags) noStream(ctx context.Context, client *bus.Client, cloud string, err error) error {
	if natserr.NoStream(err) {
		return f.unserved(ctx, client, cloud, err)
	}
	return err
}

// known makes sure that the cloud in --cloud has streams, where nothing else would tell that it has none. Who may not list streams
// is believed.
func (f *natsFlags) known(ctx context.Context, client *bus.Client) error {
	if f.cloud == "" {
		return nil
	}
	if clouds, err := client.Clouds(ctx, events.Prefix(f.prefix)); err == nil && !slices.Contains(clouds, f.cloud) {
		return f.unserved(ctx, client, f.cloud, errNoStreams)
	}
	return nil
}

var errNoStreams = errors.New("it has no streams")

// unserved says that no bridge serves a cloud, and which ones there are, as far as that can be found out.
func (f *natsFlags) unserved(ctx context.Context, client *bus.Client, cloud string, err error) error {
	p := events.Prefix(f.prefix)
	there := "its streams are not there"
	if clouds, err := client.Clouds(ctx, p); err == nil && !slices.Contains(clouds, cloud) {
		there = thereAre(clouds)
	}
	return fmt.Errorf("no bridge serves a cloud %q with the prefix %s here: %s: %w", cloud, p, there, err)
}

// chooseCloud makes sure that there is a cloud to work for: the one in --cloud, or the only one that there is.
func (f *natsFlags) chooseCloud(ctx context.Context, client *bus.Client) error {
	if f.cfg != nil {
		_, err := f.configuredCloud()
		return err
	}
	names, err := f.clouds(ctx, client)
	if err != nil {
		return err
	}
	i, err := oneCloud(f.cloud, names, "there")
	if err != nil {
		return err
	}
	f.cloud = names[i]
	return nil
}

// cloudFlag declares --cloud for a command that is for one cloud.
func (f *natsFlags) cloudFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.cloud, "cloud", "", "`name` of the factro cloud; not needed if there is only one")
	_ = cmd.RegisterFlagCompletionFunc("cloud", f.completeCloud)
}

// onlyCloudFlag declares --cloud for a command that is for all clouds unless one is named.
func (f *natsFlags) onlyCloudFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.cloud, "cloud", "", "only the cloud of this `name`")
	_ = cmd.RegisterFlagCompletionFunc("cloud", f.completeCloud)
}

// oneCloud is the place of the cloud of that name, or of the only one if there is no name. where says where the clouds were
// looked for.
func oneCloud(name string, clouds []string, where string) (int, error) {
	if name == "" && len(clouds) == 1 {
		return 0, nil
	}
	i := slices.Index(clouds, name)
	switch {
	case name == "":
		return -1, usage("--cloud: which one? There are %s", strings.Join(clouds, ", "))
	case i < 0:
		return -1, usage("--cloud: %q is not %s; %s", name, where, thereAre(clouds))
	}
	return i, nil
}

// thereAre says which names could have been meant.
func thereAre(names []string) string {
	if len(names) == 1 {
		return "there is only " + names[0]
	}
	return "there are " + strings.Join(names, ", ")
}
