package steer

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bridge"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/purge"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// NewPurge makes the command purge.
func NewPurge() *cobra.Command {
	cmd := &cobra.Command{
		Use: "purge", Short: "Take waiting commands out of their queue",
		Example: "  bridge purge commands --cloud acme --dry-run", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPurgeCommands())
	return cmd
}

type purgeFlags struct {
	connect.Flags
	output.ProgressFlag
	request     purge.Request
	olderThan   time.Duration
	asJSON, all bool
}

func newPurgeCommands() *cobra.Command {
	var f purgeFlags
	cmd := &cobra.Command{
		Use:   "commands",
		Short: "Take commands out of a cloud's queue, each as a dead letter",
		Long: `Take commands out of a cloud's queue, all of them or those that the flags match. Each becomes a dead letter with the code "purged"
and the reason, which "bridge dead redrive" can send again, and its sender gets the result "rejected". factro is called for none
of them.

A command that a bridge has begun is left alone, and so is one that calls nothing, such as a dry run. Bridges may run meanwhile.
To keep them from beginning more, pause the commands first: bridge pause --direction commands. Commands that arrive meanwhile
stay in the queue.

In the patterns, * stands for any text. With --dry-run nothing is changed, and what is listed may include commands that a bridge has
begun. The user needs the rights of the owner.`,
		Example: "  bridge purge commands --cloud acme --operation \"create*\" --older-than 2h --dry-run\n  bridge purge commands --cloud acme --source //shop/import --reason \"wrong import\" --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.Flags.Add(cmd)
	f.ProgressFlag.Add(cmd)
	f.CloudFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.request.Operation, "operation", "", "only commands of this operation, or of a pattern such as create*")
	flags.StringVar(&f.request.Source, "source", "", "only commands of the sender with this `URI` (ce-source), or of a pattern such as //shop/*")
	flags.Var(timetext.Flag(&f.olderThan, 0), "older-than", "only commands that have waited for longer, such as 90m, 2h or 7d")
	flags.StringVar(&f.request.Why, "reason", "", "why, for the dead letters and the senders")
	flags.StringVar(&f.request.Who, "who", "", "`name` of who does it (default "+nameForm+")")
	flags.BoolVar(&f.request.DryRun, "dry-run", false, "list what would be taken out and change nothing")
	output.AllFlag(cmd, &f.all)
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

func (f *purgeFlags) run(cmd *cobra.Command) error {
	r := f.request
	if r.Why == "" && !r.DryRun {
		return exit.Usage("--reason: why? The dead letters and the senders get it")
	}
	if f.olderThan < 0 { // it must not count as no limit at all
		return exit.Usage("--older-than: a time to come; want a duration such as 90m, 2h or 7d")
	}
	for _, name := range []string{"operation", "source"} { // nor must the value of a variable that is not set
		if pattern := cmd.Flags().Lookup(name); pattern.Changed && pattern.Value.String() == "" {
			return exit.Usage("--%s: is empty; leave it out to take all", name)
		}
	}
	if r.Who == "" {
		r.Who = whoami()
	}
	if f.olderThan > 0 {
		r.Before = time.Now().Add(-f.olderThan)
	}
	connection, err := f.Connection("bridge purge commands")
	if err != nil {
		return err
	}
	if err := f.chooseCloud(cmd); err != nil {
		return err
	}
	connection.Prefix = events.Prefix(f.Prefix)
	r.Cloud, r.Progress = f.Cloud, f.Start(cmd)
	log := telemetry.NewLogger(os.Stderr, telemetry.FormatFor("", os.Stderr), slog.LevelError) // the report has the rest
	report, err := bridge.PurgeNow(cmd.Context(), connection, r, log)
	r.Progress.Stop()
	if err != nil {
		err = fmt.Errorf("purge %s: %w (%s purged)", r.Cloud, err, plural.Of(report.Purged, "command"))
		if f.asJSON && report.Cloud != "" { // the part that is complete
			err = errors.Join(err, printJSON(cmd.OutOrStdout(), report))
		}
		return err
	}
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), report)
	}
	return printPurge(cmd.OutOrStdout(), report, f.all)
}

// chooseCloud finds out the cloud over a connection of its own, which says at once if NATS is not there.
func (f *purgeFlags) chooseCloud(cmd *cobra.Command) error {
	client, err := f.Dial()
	if err != nil {
		return err
	}
	defer client.Close()
	client.CollectRefusals()
	if err := f.ChooseCloud(cmd.Context(), client); err != nil {
		return err
	}
	return f.RequireStreams(cmd.Context(), client)
}

func printPurge(out io.Writer, r purge.Report, all bool) error {
	if len(r.Taken) > 0 {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "STORED\tOPERATION\tSOURCE\tID\n")
		rows := output.RowsOf(len(r.Taken), all)
		for _, c := range r.Taken[:rows] {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", timetext.Stamp(c.Stored), c.Operation, output.OneLine([]byte(c.Source)), output.OneLine([]byte(c.ID)))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if err := output.PrintMore(out, len(r.Taken)-rows, "more"); err != nil {
			return err
		}
	}
	text := plural.Of(len(r.Taken), "command") + " of " + r.Cloud + plural.Choose(len(r.Taken), " is", " are") + " purged; bridge dead list --code purged shows them"
	if r.DryRun {
		text = plural.Of(len(r.Taken), "command") + " of " + r.Cloud + " would be purged"
	}
	for _, left := range []struct {
		n   int
		why string
	}{{r.Begun, "begun"}, {r.Finished, "finished before"}, {r.Trial, "calling nothing"}} {
		if left.n > 0 {
			text += fmt.Sprintf("; %d left alone (%s)", left.n, left.why)
		}
	}
	_, err := fmt.Fprintln(out, text)
	return err
}
