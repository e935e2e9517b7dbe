package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/ensure"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/plural"
)

func newStreams() *cobra.Command {
	cmd := &cobra.Command{
		Use: "streams", Short: "Compare the streams with what the bridge needs", Example: "  bridge streams diff --config bridge.yaml", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newStreamsDiff())
	return cmd
}

func newStreamsDiff() *cobra.Command {
	var f streamsFlags
	cmd := &cobra.Command{
		Use:   "diff",
		Short: "List the differences between the streams and consumers and what the bridge needs",
		Long: `Compare the streams and durable consumers of the configured clouds with what the bridge creates. It lists what breaks the
contract: a missing stream, a stream without acknowledgements or without deduplication of message ids, another stream with the
bridge's subjects, a consumer that is ahead of its stream. Ages and sizes are up to the operator and are not compared. It
changes nothing.

It connects as nats in the configuration says, unless flags or a context say otherwise. Without --config the configuration
comes from the environment. The user needs the right to list and inspect streams and consumers, as the owner has. Exit code 6
means that there are differences.`,
		Example: "  bridge streams diff --config bridge.yaml\n  bridge streams diff --config bridge.yaml --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.diff(cmd)
		},
	}
	f.Flags.Add(cmd)
	f.ProgressFlag.Add(cmd)
	output.AllFlag(cmd, &f.all)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

type streamsFlags struct {
	connect.Flags
	output.ProgressFlag
	asJSON, all bool
}

func (f *streamsFlags) diff(cmd *cobra.Command) error {
	out := cmd.OutOrStdout()
	if _, err := f.BridgeConfig(); err != nil {
		return err
	}
	connection, err := f.Connection("bridge streams diff")
	if err != nil {
		return err
	}
	client, err := f.Connect(connection)
	if err != nil {
		return err
	}
	defer client.Close()
	client.CollectRefusals()
	watched := f.Start(cmd)
	found, err := ensure.Differences(cmd.Context(), client, watched)
	watched.Stop()
	if err != nil {
		return err
	}
	if f.asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(append([]ensure.Difference{}, found...))
	} else {
		err = printDifferences(out, found, f.all)
	}
	if err != nil {
		return fmt.Errorf("print the differences: %w", err)
	}
	if len(found) > 0 {
		return exit.Silent(exit.Different)
	}
	return nil
}

func printDifferences(out io.Writer, found []ensure.Difference, all bool) error {
	if len(found) == 0 {
		_, err := fmt.Fprintln(out, "the streams are as they should be")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	rows := output.RowsOf(len(found), all)
	for _, d := range found[:rows] {
		fmt.Fprintf(w, "%s\t%s\n", d.Stream, d.What)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := output.PrintMore(out, len(found)-rows, "more"); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, plural.Of(len(found), "difference"))
	return err
}
