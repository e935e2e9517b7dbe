package dead

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func newDeadDrop() *cobra.Command {
	var f deadFlags
	var yes, dryRun bool
	cmd := &cobra.Command{
		Use:   "drop [CLOUD/SEQ | ID]...",
		Short: "Delete dead letters",
		Long: `Delete dead letters: those with the given names, or those that the filters select. On a terminal it asks first; otherwise
it needs --yes.`,
		Example: `  bridge dead drop acme/17 acme/18
  bridge dead drop --code expired --until 720h --yes`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeNames(&f.Flags),
		RunE: func(cmd *cobra.Command, args []string) error {
			named, err := f.parseNames(args)
			if err != nil {
				return err
			}
			if !yes && !dryRun && !output.IsTerminal(os.Stdin) {
				return exit.Usage("there is no terminal to ask on; use --yes or --dry-run")
			}
			client, err := f.Dial()
			if err != nil {
				return err
			}
			defer client.Close()
			watched := f.Start(cmd)
			defer watched.Stop()
			out := watched.Beside(cmd.OutOrStdout())
			ask := func(n int) bool { return yes || confirmed(cmd.InOrStdin(), out, n) }
			if dryRun {
				ask = nil
			}
			return f.drop(cmd.Context(), out, client, named, ask, watched)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only list what would be deleted")
	return cmd
}

// drop deletes dead letters if ask accepts their number. Without ask it only lists them.
func (f *deadFlags) drop(ctx context.Context, out io.Writer, client *client.Client, named []deadName, ask func(int) bool, watched *progress.Task) error {
	if ask == nil {
		n, err := f.print(ctx, out, client, named, watched)
		if err != nil || n == 0 {
			return err
		}
		_, err = fmt.Fprintf(out, "%d would be deleted\n", n)
		return err
	}
	n, err := f.count(ctx, client, named, watched)
	watched.Begin("", "", 0) // the progress must not overwrite the question
	switch {
	case err != nil:
		return err
	case n == 0:
		return f.printNone(out)
	case !ask(n):
		return exit.With(exit.Failure, errors.New("nothing was deleted"))
	}
	done := 0
	watched.Begin("delete dead letters", "dead letter", int64(n))
	err = f.each(ctx, client, named, nil, func(l deadletter.Entry) error {
		if err := deadletter.Drop(ctx, client, events.Prefix(f.Prefix), l.Cloud, l.Sequence); err != nil {
			return err
		}
		done++
		watched.Add(1)
		return nil
	})
	fmt.Fprintf(out, "%d deleted\n", done)
	return err
}

// confirmed asks the user.
func confirmed(in io.Reader, out io.Writer, n int) bool {
	fmt.Fprintf(out, "Delete %s permanently? [y/N] ", plural.Of(n, "dead letter"))
	line, _ := bufio.NewReader(in).ReadString('\n') // without an answer nothing is deleted
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes"
}
