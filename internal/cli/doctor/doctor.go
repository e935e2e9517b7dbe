package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/inspect"
	"github.com/factro-bridge/factro-bridge/internal/canary"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/doctor"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

type flags struct {
	connect.Flags
	groups                []string
	monitoring            string
	webhookURL            string
	timeout               time.Duration
	asJSON, quiet, strict bool
	canary                bool

	version string
}

// New makes the command.
func New(version string) *cobra.Command {
	f := flags{version: version}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check whether everything around a bridge is as the bridge needs it",
		Long: fmt.Sprintf(`Check the configuration of a bridge and everything around it: files, NATS, factro, the path of webhooks, telemetry. For each finding
it says what it is, why it matters, and a line to copy that helps. A check that cannot be made is "unknown", with the reason.

It changes nothing, so it can be run at any time, beside a running bridge or before the first start. On NATS it only looks; whether
a permission is granted it asks by messages that the server gives to nobody. It makes at most %d requests to each cloud of factro,
all of them reads, and fewer if little of the budget is left. Only with --canary it sends a webhook, which becomes an event with
the action BridgeCanary.

Run it as the user of the bridge and on its machine, so that it sees the same files and has the same permissions. Without --config
the configuration comes from the environment. It exits with 1 if there is a problem, and with --strict also for a warning.

Groups of checks: %s.`, doctor.MostRequests, strings.Join(doctor.Groups(), ", ")),
		Example: `  bridge doctor --config bridge.yaml
  bridge doctor --config bridge.yaml --check nats,factro --json
  bridge doctor --config bridge.yaml --canary --webhook-url https://bridge.example.com/webhooks/acme`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.Add(cmd)
	f.OnlyCloudFlag(cmd)
	cmd.Flags().StringSliceVar(&f.groups, "check", nil, "only these `groups` of checks: "+strings.Join(doctor.Groups(), ", "))
	_ = cmd.RegisterFlagCompletionFunc("check", cobra.FixedCompletions(doctor.Groups(), cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().BoolVar(&f.canary, "canary", false, "send a webhook through the public address of each cloud; it stores an event")
	cmd.Flags().StringVar(&f.webhookURL, "webhook-url", "", "`URL` to send the webhook of --canary to (default webhook.url of the cloud)")
	cmd.Flags().StringVar(&f.monitoring, "monitoring", "", "`URL` of the HTTP monitoring of the NATS server, for its sync interval")
	cmd.Flags().Var(timetext.Flag(&f.timeout, time.Minute), "timeout", "how long all checks may take together")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print only what is not good")
	cmd.Flags().BoolVar(&f.strict, "strict", false, "exit with 1 for a warning too")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

func (f *flags) run(cmd *cobra.Command) error {
	for _, name := range f.groups {
		if !slices.Contains(doctor.Groups(), name) {
			return exit.Usage("--check: there is no group %.40q; there are %s", name, strings.Join(doctor.Groups(), ", "))
		}
	}
	if f.timeout <= 0 {
		return exit.Usage("--timeout: %s is not positive", f.timeout)
	}
	if f.webhookURL != "" && !f.canary {
		return exit.Usage("--webhook-url is for --canary")
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	in, err := f.input()
	if err != nil {
		return err
	}
	if len(f.groups) == 0 || slices.Contains(f.groups, "nats") || slices.Contains(f.groups, "webhook") {
		nats, err := f.dial(in)
		in.NATSErr = err
		if nats != nil {
			defer nats.Close()
			in.NATS, in.Webhook = inspect.New(nats), f.webhook(nats)
		}
	}
	report := doctor.Run(ctx, in, f.groups)
	if f.asJSON {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		err = enc.Encode(report)
	} else {
		err = printReport(cmd.OutOrStdout(), report, f.quiet)
	}
	if err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if report.Problems > 0 || f.strict && report.Warnings > 0 {
		return exit.Silent(exit.Failure)
	}
	return nil
}

// input reads the configuration. One with mistakes is the matter of the report; one that is not there is a mistake in the command line.
func (f *flags) input() (doctor.Input, error) {
	if f.ConfigFile != "" {
		if _, err := os.Stat(f.ConfigFile); err != nil {
			return doctor.Input{}, exit.Usage("--config: %w", err)
		}
	}
	in := doctor.Input{
		ConfigFile: f.ConfigFile, Monitoring: f.monitoring, Disk: doctor.LocalDisk{}, Dial: doctor.Dial, Collectors: telemetry.Collectors(), Now: time.Now,
	}
	in.Checked, in.ConfigErr = config.Check(f.ConfigFile, os.Environ(), true)
	if in.ConfigErr != nil {
		if f.ConfigFile == "" && len(in.Checked.Roles) == 0 { // there is none at all
			return in, exit.With(exit.WrongUsage, in.ConfigErr)
		}
		return in, nil
	}
	if _, err := f.BridgeConfig(); err != nil {
		return in, err
	}
	if f.Cloud != "" {
		cloud, err := f.ConfiguredCloud()
		if err != nil {
			return in, err
		}
		f.Config.Clouds = []config.Cloud{cloud}
	}
	in.Checked.Config = *f.Config
	in.Factro = func(cloud config.Cloud) (doctor.Factro, error) {
		return doctor.NewCoreAPI(in.Checked.Config, cloud, f.version)
	}
	return in, nil
}

// dial connects as the bridge does, unless flags say otherwise.
func (f *flags) dial(in doctor.Input) (*client.Client, error) {
	if in.ConfigErr != nil {
		return nil, in.ConfigErr
	}
	connection, err := f.Connection("bridge doctor")
	if err != nil {
		return nil, err
	}
	c, err := f.Connect(connection)
	if err != nil {
		return nil, err
	}
	c.CollectRefusals()
	return c, nil
}

// webhook sends a canary through the public address of a cloud, if that was asked for.
func (f *flags) webhook(nats *client.Client) func(context.Context, config.Cloud) (string, error) {
	if !f.canary {
		return nil
	}
	return func(ctx context.Context, cloud config.Cloud) (string, error) {
		to := cloud.Webhook.URL
		if f.webhookURL != "" {
			to = f.webhookURL
		}
		if f.webhookURL != "" && len(f.Config.Clouds) > 1 && !strings.HasSuffix(strings.TrimRight(to, "/"), "/"+cloud.Name) {
			return to, errors.New("it was not tried: --webhook-url is for another cloud; name one with --cloud")
		}
		if u, err := url.Parse(to); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return secret.Address(to), errors.New("it was not tried: the public URL of the webhooks is not known; name it with --webhook-url, or set webhook.url of the cloud")
		}
		value, err := secret.NewReader(cloud.Webhook.Secrets[0], nil, "").Get()
		if value == "" {
			return secret.Address(to), fmt.Errorf("it was not tried: there is no secret: %w", err)
		}
		c, err := canary.New(canary.Config{
			Prefix: events.Prefix(f.Prefix), Cloud: cloud.Name, Timeout: canaryTimeout, OnlyWebhook: true,
			Webhook: canary.Webhook{URL: to, Header: cloud.Webhook.Header, Secret: value, Proxy: true},
		})
		if err != nil {
			return secret.Address(to), err
		}
		report := c.Run(ctx, nats, nil)
		if report.OK || len(report.Legs) == 0 {
			return secret.Address(to), ctx.Err()
		}
		return secret.Address(to), errors.New(report.Legs[0].Error)
	}
}

// canaryTimeout is how long the event of a canary may take.
const canaryTimeout = 15 * time.Second
