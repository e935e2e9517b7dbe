package main

import (
	"cmp"
	"os"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// natsFlags are the flags of the commands that talk to NATS.
type natsFlags struct {
	url, creds, nkey, prefix, cloud string
	inboxPrefix, apiPrefix          string
}

// add declares the flags. The defaults are what "bridge dev" prints, and what the nats command itself reads.
func (f *natsFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.url, "nats", "", "`URL` of the NATS server (default $NATS_URL, else nats://127.0.0.1:4222)")
	cmd.Flags().StringVar(&f.creds, "creds", "", "credentials `file` (default $NATS_CREDS)")
	cmd.Flags().StringVar(&f.nkey, "nkey", "", "nkey `file` in place of credentials (default $NATS_NKEY)")
	cmd.Flags().StringVar(&f.inboxPrefix, "inbox-prefix", "", "what the inboxes begin with (default $NATS_INBOX_PREFIX, else _INBOX)")
	cmd.Flags().StringVar(&f.apiPrefix, "js-api-prefix", "", "where the API of JetStream is (default $NATS_JS_API_PREFIX, else $JS.API)")
	cmd.Flags().StringVar(&f.prefix, "prefix", events.DefaultPrefix, "first token of the subjects")
}

func (f *natsFlags) dial() (*bus.Client, error) {
	creds, nkey := cmp.Or(f.creds, os.Getenv("NATS_CREDS")), cmp.Or(f.nkey, os.Getenv("NATS_NKEY"))
	switch { // a flag wins over the environment
	case f.nkey != "" && f.creds == "":
		creds = ""
	case f.creds != "" && f.nkey == "":
		nkey = ""
	}
	return bus.Dial(bus.Config{
		URL:       cmp.Or(f.url, os.Getenv("NATS_URL"), "nats://127.0.0.1:4222"),
		CredsFile: creds, NkeyFile: nkey, Name: "bridge command line",
		InboxPrefix: cmp.Or(f.inboxPrefix, os.Getenv("NATS_INBOX_PREFIX")), APIPrefix: cmp.Or(f.apiPrefix, os.Getenv("NATS_JS_API_PREFIX")),
	})
}
