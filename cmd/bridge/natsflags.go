package main

import (
	"cmp"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// natsFlags are the flags of the commands that talk to NATS.
type natsFlags struct {
	url, creds, nkey, prefix, cloud string
	user, passwordFile              string
	inboxPrefix, apiPrefix, domain  string
	tls                             bus.TLS
}

// add declares the flags. The defaults are what "bridge dev" prints, and what the nats command itself reads.
func (f *natsFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.url, "nats", "", "`URL` of the NATS server (default $NATS_URL, else nats://127.0.0.1:4222)")
	cmd.Flags().StringVar(&f.creds, "creds", "", "credentials `file` (default $NATS_CREDS)")
	cmd.Flags().StringVar(&f.nkey, "nkey", "", "nkey `file` in place of credentials (default $NATS_NKEY)")
	cmd.Flags().StringVar(&f.user, "user", "", "`name` of the user (default $NATS_USER)")
	cmd.Flags().StringVar(&f.passwordFile, "password-file", "", "`file` with the user's password (else $NATS_PASSWORD is the password)")
	cmd.Flags().StringVar(&f.tls.CAFile, "tlsca", "", "`file` with the certificate of the authority to trust (default $NATS_CA)")
	cmd.Flags().StringVar(&f.tls.CertFile, "tlscert", "", "`file` with the client's certificate (default $NATS_CERT)")
	cmd.Flags().StringVar(&f.tls.KeyFile, "tlskey", "", "`file` with the key of that certificate (default $NATS_KEY)")
	cmd.Flags().BoolVar(&f.tls.HandshakeFirst, "tlsfirst", false, "begin with the TLS handshake, as a server may demand")
	cmd.Flags().StringVar(&f.inboxPrefix, "inbox-prefix", "", "what the inboxes begin with (default $NATS_INBOX_PREFIX, else _INBOX)")
	cmd.Flags().StringVar(&f.apiPrefix, "js-api-prefix", "", "where the API of JetStream is (default $NATS_JS_API_PREFIX, else $JS.API)")
	cmd.Flags().StringVar(&f.domain, "js-domain", "", "`name` of the JetStream domain (default $NATS_JS_DOMAIN)")
	cmd.Flags().StringVar(&f.prefix, "prefix", events.DefaultPrefix, "first token of the subjects")
}

func (f *natsFlags) dial() (*bus.Client, error) {
	c := f.config()
	switch {
	case !c.User.IsZero() && c.Password.IsZero():
		return nil, usage("user: there is no password for it; give --password-file or $NATS_PASSWORD")
	case c.User.IsZero() && f.passwordFile != "":
		return nil, usage("--password-file: there is no user for it; give --user or $NATS_USER")
	}
	return bus.Dial(c)
}

func (f *natsFlags) config() bus.Config {
	creds, nkey, user := cmp.Or(f.creds, os.Getenv("NATS_CREDS")), cmp.Or(f.nkey, os.Getenv("NATS_NKEY")), cmp.Or(f.user, os.Getenv("NATS_USER"))
	if f.creds != "" || f.nkey != "" || f.user != "" { // a flag wins over the environment
		creds, nkey, user = f.creds, f.nkey, f.user
	} else if strings.Contains(f.url, "@") { // so does a user in one
		creds, nkey, user = "", "", ""
	}
	c := bus.Config{
		URL:       cmp.Or(f.url, os.Getenv("NATS_URL"), "nats://127.0.0.1:4222"),
		CredsFile: creds, NkeyFile: nkey, Name: "bridge command line",
		TLS: bus.TLS{
			CAFile: cmp.Or(f.tls.CAFile, os.Getenv("NATS_CA")), CertFile: cmp.Or(f.tls.CertFile, os.Getenv("NATS_CERT")),
			KeyFile: cmp.Or(f.tls.KeyFile, os.Getenv("NATS_KEY")), HandshakeFirst: f.tls.HandshakeFirst,
		},
		InboxPrefix: cmp.Or(f.inboxPrefix, os.Getenv("NATS_INBOX_PREFIX")),
	}
	if user != "" {
		c.User = secret.Source{Value: secret.String(user)}
		c.Password = secret.Source{Value: secret.String(os.Getenv("NATS_PASSWORD"))}
		if f.passwordFile != "" {
			c.Password = secret.Source{File: f.passwordFile}
		}
	}
	c.APIPrefix, c.Domain = cmp.Or(f.apiPrefix, os.Getenv("NATS_JS_API_PREFIX")), cmp.Or(f.domain, os.Getenv("NATS_JS_DOMAIN"))
	switch {
	case f.domain != "":
		c.APIPrefix = ""
	case f.apiPrefix != "":
		c.Domain = ""
	}
	return c
}
