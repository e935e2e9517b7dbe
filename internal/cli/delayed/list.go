package delayed

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/delayed"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// New makes the command delayed.
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delayed",
		Short: "Look at commands that wait for their time",
		Long: `Commands with the attribute notbefore wait in a stream of NATS of their own, such as FACTRO_DELAYED_ACME. "bridge cancel ID"
cancels one of them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Example: `  bridge delayed list
  bridge cancel clean-up`,
	}
	cmd.AddCommand(newList())
	return cmd
}

type listFlags struct {
	connect.Flags
	all, asJSON bool
}

func newList() *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the commands that wait for their time, one per line",
		Long: `List the first 20 commands that wait for their time, or all with --all, cloud by cloud, in the order in which they came. A line has
the time before which the command is not carried out, the operation, the id and the source. --json prints all of them, one JSON object
per line. It needs the right to read the stream of delayed commands.`,
		Example: `  bridge delayed list
  bridge delayed list --cloud acme --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.list(cmd) },
	}
	f.Add(cmd)
	f.OnlyCloudFlag(cmd)
	output.AllFlag(cmd, &f.all)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

func (f *listFlags) list(cmd *cobra.Command) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	client, err := f.Dial()
	if err != nil {
		return err
	}
	defer client.Close()
	if err := f.RequireStreams(ctx, client); err != nil {
		return err
	}
	clouds, err := f.Clouds(ctx, client)
	if err != nil {
		return err
	}
	n := 0
	for _, cloud := range clouds {
		if err := delayed.Each(ctx, client, events.Prefix(f.Prefix), cloud, func(e delayed.Entry) error {
			n++
			switch {
			case f.asJSON:
				return json.NewEncoder(out).Encode(e)
			case n > output.RowsOf(n, f.all):
				return nil
			}
			return printEntry(out, e, n == 1)
		}); err != nil {
			return err
		}
	}
	switch {
	case f.asJSON:
		return nil
	case n == 0:
		_, err := fmt.Fprintln(out, "no command waits for its time")
		return err
	}
	return output.PrintMore(out, n-output.RowsOf(n, f.all), "more")
}

// columns is the line of a delayed command. The widths are fixed, since lines are printed before all are known.
const columns = "%-25s  %-12s  %-24s  %-36s  %s\n"

func printEntry(out io.Writer, e delayed.Entry, first bool) error {
	if first {
		if _, err := fmt.Fprintf(out, columns, "NOT BEFORE", "CLOUD", "OPERATION", "ID", "SOURCE"); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, columns, timetext.Stamp(e.Until), e.Cloud, output.OneLine([]byte(e.Operation)), output.OneLine([]byte(e.ID)), output.OneLine([]byte(e.Source)))
	return err
}
