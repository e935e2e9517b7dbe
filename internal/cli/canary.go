package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/canary"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

type canaryFlags struct {
	connect.Flags
	output.ProgressFlag
	webhookURL      string
	timeout         time.Duration
	noQuery, asJSON bool
}

func newCanary(version string) *cobra.Command {
	var f canaryFlags
	cmd := &cobra.Command{
		Use:   "canary",
		Short: "Send test messages through a running bridge in both directions, and check that they arrive",
		Long: `Send one webhook to a running bridge and wait for its event, send one command and wait for its result, send one query.
It prints what arrived and how long it took. It exits with 0 only if everything arrived.

Nothing is changed at factro. The bridge answers the command itself and does not call factro. The query reads a few counters,
which costs one request of the budget. Subscribers to all events of the cloud see an event with the action BridgeCanary and the
resource bridge.

The secret, the credentials for NATS and the names come from the bridge's own configuration: the file in --config, or the
environment. The webhook goes to the address in http.listen on this machine. --webhook-url names another one, such as the URL
that is registered at factro.`,
		Example: `  bridge canary --config bridge.yaml
  bridge canary --config bridge.yaml --cloud acme --webhook-url https://bridge.example.com/webhooks/acme --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, version) },
	}
	f.Flags.Add(cmd)
	f.ProgressFlag.Add(cmd)
	f.CloudFlag(cmd)
	cmd.Flags().StringVar(&f.webhookURL, "webhook-url", "", "`URL` to send the webhook to (default /webhooks/<cloud> at http.listen)")
	cmd.Flags().Var(timetext.Flag(&f.timeout, 30*time.Second), "timeout", "how long to wait for each answer")
	cmd.Flags().BoolVar(&f.noQuery, "no-query", false, "send no query, for installations without the role query")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

func (f *canaryFlags) run(cmd *cobra.Command, version string) error {
	ctx := cmd.Context()
	cloud, err := f.ConfiguredCloud()
	if err != nil {
		return err
	}
	if f.timeout <= 0 {
		return exit.Usage("--timeout: %s is not positive", f.timeout)
	}
	cfg, err := f.BridgeConfig()
	if err != nil {
		return err
	}
	connection, err := f.Connection("bridge canary")
	if err != nil {
		return err
	}
	webhook, err := canaryWebhook(cfg, cloud, f.webhookURL)
	if err != nil {
		return err
	}
	c, err := canary.New(canary.Config{Prefix: events.Prefix(f.Prefix), Cloud: f.Cloud, Webhook: webhook, Timeout: f.timeout, NoQuery: f.noQuery})
	if err != nil {
		return exit.With(exit.WrongUsage, err)
	}

	t, err := telemetry.Start(ctx, version, slog.Default())
	if err != nil {
		return err
	}
	defer t.Stop(ctx)
	client, err := f.Connect(connection)
	if err != nil {
		return err
	}
	defer client.Close()
	client.CollectRefusals()

	watched := f.Start(cmd)
	report := c.Run(ctx, client, watched)
	watched.Stop()
	if err := writeReport(cmd.OutOrStdout(), report, f.asJSON); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	switch {
	case report.OK:
		return nil
	case ctx.Err() != nil:
		return exit.With(canaryExits[report.Outcome], errors.New("interrupted"))
	}
	return exit.Silent(canaryExits[report.Outcome])
}

// canaryExits has the exit code of each outcome.
var canaryExits = map[canary.Outcome]int{
	canary.Passed: exit.OK, canary.Failed: exit.Failure, canary.Rejected: exit.Rejected, canary.Dead: exit.Dead, canary.TimedOut: exit.NoResult,
}

// canaryWebhook is the target for webhooks of a cloud, with the first of its secrets: the URL in --webhook-url, or else the address
// on which the bridge listens on this machine.
func canaryWebhook(cfg config.Config, cloud config.Cloud, to string) (canary.Webhook, error) {
	if len(cloud.Webhook.Secrets) == 0 || cloud.Webhook.Header == "" {
		return canary.Webhook{}, exit.Usage("clouds: %s has no webhook.header or no webhook.secrets; use a configuration with the role ingress", cloud.Name)
	}
	value, err := secret.NewReader(cloud.Webhook.Secrets[0], nil, "").Get()
	if err != nil {
		return canary.Webhook{}, exit.Usage("clouds: the first secret of %s: %w", cloud.Name, err)
	}
	w := canary.Webhook{URL: to, Header: cloud.Webhook.Header, Secret: value}
	if to != "" {
		if u, err := url.Parse(to); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return canary.Webhook{}, exit.Usage("--webhook-url: %q is no URL of the form https://<host>/webhooks/%s", secret.Address(to), cloud.Name)
		}
		w.Proxy = true
		return w, nil
	}
	address, err := connect.Local(cfg.HTTP.Listen)
	if err != nil {
		return canary.Webhook{}, exit.Usage("http.listen: %w", err)
	}
	scheme := "http"
	if cfg.HTTP.TLS.CertFile != "" {
		scheme, w.CertFile, w.WantsCert = "https", cfg.HTTP.TLS.CertFile, cfg.HTTP.TLS.ClientCAFile != ""
	}
	w.URL = scheme + "://" + address + "/webhooks/" + cloud.Name
	return w, nil
}
