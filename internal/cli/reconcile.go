package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bridge"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/reconcile"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
)

type reconcileFlags struct {
	connect.Flags
	output.ProgressFlag
	since               string
	dryRun, asJSON, all bool
	timeout             time.Duration
}

func newReconcile(version string) *cobra.Command {
	var f reconcileFlags
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "Compare the events of a cloud with factro's stored payloads, and publish what is missing",
		Long: `Compare the stream of events with factro's stored payloads once, now, and publish what is missing. It waits until no bridge
reconciles this cloud. Without --config the configuration comes from the environment. Without --since it starts where the last
run ended.

Records younger than reconcile.grace do not count as missing: their webhooks may be in flight, or in the spool of a bridge.
After an outage of NATS, wait until the spools of the bridges are empty.

It lists the oldest 20 missing events, or all of them with --all, and a summary; --json prints everything. With --dry-run
nothing is published, and the exit code is 6 if something is missing.`,
		Example: `  bridge reconcile --config bridge.yaml --cloud acme --since 2h --dry-run
  bridge reconcile --config bridge.yaml --cloud acme --since 2026-09-01T06:00:00Z --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, version) },
	}
	f.Flags.Add(cmd)
	f.ProgressFlag.Add(cmd)
	f.CloudFlag(cmd)
	cmd.Flags().StringVar(&f.since, "since", "", "start at this `time`: 2h (ago), 7d, 2026-03-01, or 2026-03-01T12:00:00Z")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "report what is missing and change nothing")
	output.AllFlag(cmd, &f.all)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print the report as JSON")
	cmd.Flags().Var(timetext.Flag(&f.timeout, 15*time.Minute), "timeout", "how long it may take, including the wait for other runs")
	return cmd
}

func (f *reconcileFlags) run(cmd *cobra.Command, version string) error {
	out := cmd.OutOrStdout()
	since, err := timetext.Moment(f.since, time.Now())
	if err != nil {
		return exit.Usage("--since: %w", err)
	}
	if _, err := f.ConfiguredCloud(); err != nil {
		return err
	}
	cfg, err := f.BridgeConfig()
	if err != nil {
		return err
	}
	connection, err := f.Connection("bridge reconcile")
	if err != nil {
		return err
	}
	format := telemetry.FormatFor(cfg.Log.Format, os.Stderr)
	log := telemetry.NewLogger(os.Stderr, format, max(cfg.Log.Level, slog.LevelWarn)) // the report has the rest
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	request := reconcile.Request{Since: since, DryRun: f.dryRun, All: f.all || f.asJSON, Progress: f.Start(cmd)}
	report, err := bridge.ReconcileNow(ctx, cfg, connection, f.Cloud, request, version, log)
	request.Progress.Stop()
	if err != nil {
		if f.asJSON && report.Cloud != "" { // the part that is complete
			err = errors.Join(err, printReportJSON(out, report))
		}
		return fmt.Errorf("reconcile %s: %w (%d of %s %s published)", f.Cloud, err, report.Published, plural.Of(report.Missing, "missing event"),
			plural.Choose(report.Missing, "was", "were"))
	}
	if f.asJSON {
		err = printReportJSON(out, report)
	} else {
		err = printReport(out, report, f.all)
	}
	if err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if report.DryRun && report.Missing > 0 {
		return exit.Silent(exit.Different)
	}
	return nil
}

func printReportJSON(out io.Writer, r reconcile.Report) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// printReport prints a report for people. The summary comes last, so that it is visible on a terminal.
func printReport(out io.Writer, r reconcile.Report, all bool) error {
	if err := printGaps(out, r, all); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %s to %s; events of younger records may still come\n", r.Cloud, timetext.Stamp(r.Since), timetext.Stamp(r.Until))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, line := range []struct {
		what   string
		count  int
		always bool
	}{
		{"records read from factro", r.Records, true},
		{"of somebody else's webhooks", r.Foreign, false},
		{"unusable, without an action or a time", r.Unusable, false},
		{"with an event: by id", r.Matched.ID, true},
		{"with an event: by context", r.Matched.Context, true},
		{"with an event: by entity", r.Matched.Entity, true},
		{"with an event: by action and time", r.Matched.Action, true},
		{"too young to be missing", r.Young, false},
		{"missing", r.Missing, true},
		{"published", r.Published, !r.DryRun},
	} {
		if line.count > 0 || line.always {
			fmt.Fprintf(w, "  %s\t%d\n", line.what, line.count)
		}
	}
	return w.Flush()
}

// printGaps prints the missing events, one per row.
func printGaps(out io.Writer, r reconcile.Report, all bool) error {
	if len(r.Gaps) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "CREATED\tACTION\tENTITY\tID\n")
	rows := output.RowsOf(len(r.Gaps), all)
	for _, g := range r.Gaps[:rows] {
		_, entity, _ := strings.Cut(g.Subject, "/")
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", timetext.Stamp(g.CreatedAt), output.OneLine([]byte(g.Action)), output.OneLine([]byte(entity)), output.OneLine([]byte(g.ID)))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := output.PrintMore(out, r.Missing-rows, "more"); err != nil {
		return err
	}
	var actions []string
	for _, a := range slices.Sorted(maps.Keys(r.ByAction)) {
		actions = append(actions, fmt.Sprintf("%s %d", output.OneLine([]byte(a)), r.ByAction[a]))
	}
	_, err := fmt.Fprintf(out, "by action: %s\n\n", strings.Join(actions, ", "))
	return err
}
