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
	url, creds, prefix, cloud string
}

// add declares the flags. The defaults are what "bridge dev" prints, and what the nats command itself reads.
func (f *natsFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.url, "nats", "", "`URL` of the NATS server (default $NATS_URL, else nats://127.0.0.1:4222)")
	cmd.Flags().StringVar(&f.creds, "creds", "", "credentials `file` (default $NATS_CREDS)")
	cmd.Flags().StringVar(&f.prefix, "prefix", events.DefaultPrefix, "first token of the subjects")
}

func (f *natsFlags) dial() (*bus.Client, error) {
	return bus.Dial(bus.Config{
		URL:       cmp.Or(f.url, os.Getenv("NATS_URL"), "nats://127.0.0.1:4222"),
		CredsFile: cmp.Or(f.creds, os.Getenv("NATS_CREDS")), Name: "bridge command line",
	})
}
