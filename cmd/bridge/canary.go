package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

type canaryFlags struct {
	natsFlags
	progressFlag
	webhookURL      string
	timeout         time.Duration
	noQuery, asJSON bool
}

func newCanary() *cobra.Command {
	var f canaryFlags
	cmd := &cobra.Command{
		Use:   "canary",
		Short: "Send something through a running bridge in both directions, and see whether it arrives",
		Long: `Send one webhook to a running bridge and wait for its event, send one command and wait for its result, ask one query.
It says what came and how long it took, and exits with 0 only if all of it came.

Nothing is changed at factro: the command is one of the bridge's own, which it answers without calling factro, and the query
reads a few counters, one request of the budget. Subscribers to all events of the cloud see an event with the action
BridgeCanary and the resource bridge.

It takes the secret, the credentials for NATS and the names from the bridge's own configuration, in the file that --config names
or in the environment. The webhook goes to the
address in http.listen, on this machine; --webhook-url names another one, such as the one that was entered at factro.`,
		Example: `  bridge canary --config bridge.yaml
  bridge canary --config bridge.yaml --cloud acme --webhook-url https://bridge.example.com/webhooks/acme --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.natsFlags.add(cmd)
	f.progressFlag.add(cmd)
	f.cloudFlag(cmd)
	cmd.Flags().StringVar(&f.webhookURL, "webhook-url", "", "`URL` to send the webhook to (default /webhooks/<cloud> at http.listen)")
	durationFlag(cmd.Flags(), &f.timeout, "timeout", 30*time.Second, "how long to wait for each of the answers")
	cmd.Flags().BoolVar(&f.noQuery, "no-query", false, "ask no query, where no bridge has the role")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

func (f *canaryFlags) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	cloud, err := f.configuredCloud()
	if err != nil {
		return err
	}
	if f.timeout <= 0 {
		return usage("--timeout: %s is not positive", f.timeout)
	}
	cfg, err := f.bridgeConfig()
	if err != nil {
		return err
	}
	connection, err := f.connection("bridge canary")
	if err != nil {
		return err
	}
	hook, err := newHook(cfg, cloud, f.webhookURL)
	if err != nil {
		return err
	}
	defer hook.client.CloseIdleConnections()

	t, err := telemetry.Start(ctx, buildVersion(), slog.Default())
	if err != nil {
		return err
	}
	defer t.Stop(ctx)
	client, err := f.reach(connection)
	if err != nil {
		return err
	}
	defer client.Close()
	client.CollectRefusals()

	ctx, span := rootSpan(ctx)
	defer span.End()
	c := canary{
		client: client, prefix: events.Prefix(f.prefix), cloud: f.cloud, timeout: f.timeout, hook: hook,
		id: uuid.Must(uuid.NewV7()).String(),
		report: canaryReport{
			Cloud: f.cloud, Trace: trace.SpanContextFromContext(ctx).TraceID().String(), Legs: []leg{},
		},
	}
	c.watched = f.start(cmd)
	code := c.fly(ctx, !f.noQuery)
	c.watched.Stop()
	if err := c.report.write(cmd.OutOrStdout(), f.asJSON); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if code != exitOK && ctx.Err() != nil {
		return &exitError{code, errors.New("interrupted")}
	}
	if code != exitOK {
		return &exitError{code: code}
	}
	return nil
}

// rootSpan begins the trace of a canary. Where this process exports none, the trace is begun by its id alone, so that what
// the bridge exports of it can be found all the same.
func rootSpan(ctx context.Context) (context.Context, trace.Span) {
	own, span := otel.Tracer("github.com/factro-bridge/factro-bridge/cmd/bridge").Start(ctx, "canary")
	if span.IsRecording() {
		return own, span
	}
	return newTrace(ctx), span
}

// canary is one flight through a bridge.
type canary struct {
	client  *bus.Client
	prefix  events.Prefix
	cloud   string
	timeout time.Duration // of each leg
	hook    *hook
	id      string // names the entity of the webhook and of the command; there is none of that id at factro
	report  canaryReport
	watched *progress.Task
}

// fly goes all the ways, also where one has failed, since which of them work tells where to look, unless it is told to stop.
// It returns the exit code of the first failure.
func (c *canary) fly(ctx context.Context, query bool) int {
	type way struct {
		waiting string
		fly     func(context.Context) leg
	}
	ways := []way{{"wait for the event of the webhook", c.webhook}, {"wait for the result of the command", c.command}}
	if query {
		ways = append(ways, way{"wait for the answer to the query", c.query})
	}
	code := exitOK
	c.report.OK = true
	for _, way := range ways {
		if ctx.Err() != nil {
			c.report.OK, code = false, cmp.Or(code, exitFailure)
			break
		}
		began := time.Now()
		c.watched.Begin(fmt.Sprintf("%s, at most %s", way.waiting, c.timeout), "", 0)
		bounded, cancel := context.WithTimeout(ctx, c.timeout)
		l := way.fly(bounded)
		cancel()
		l.Millis = millis(time.Since(began))
		l.OK = l.err == nil
		if l.err != nil && ctx.Err() != nil {
			l = l.failed(exitFailure, errors.New("interrupted"))
		}
		if l.err != nil {
			l.Error = l.err.Error()
			c.report.OK = false
			if code == exitOK {
				code = l.code
			}
		}
		c.report.Legs = append(c.report.Legs, l)
	}
	return code
}
