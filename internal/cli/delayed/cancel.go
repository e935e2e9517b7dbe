package delayed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/notbefore"
)

type cancelFlags struct {
	connect.Flags
	source  string
	timeout time.Duration
	asJSON  bool
}

// NewCancel makes the command cancel.
func NewCancel() *cobra.Command {
	var f cancelFlags
	cmd := &cobra.Command{
		Use:   "cancel ID",
		Short: "Cancel a command that waits for its time",
		Long: `Cancel a command that was sent with a notbefore, such as one of "bridge send --not-before", while it waits. Either it is cancelled,
or it is carried out, never both. Its sender gets the result rejected, with the code cancelled; there is no dead letter.

A command is named by its id and its source. "bridge delayed list" shows both. If the command was begun, or if no delayed command has
this id, cancel says so and exits with 3. After an error, do it again: to cancel twice is harmless.`,
		Example: `  bridge cancel clean-up
  bridge cancel order-4711 --source urn:example:billing --cloud acme`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exit.Usage("which command? bridge delayed list shows the ids")
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.cancel(cmd.Context(), cmd.OutOrStdout(), args[0])
		},
	}
	f.Add(cmd)
	f.CloudFlag(cmd)
	cmd.Flags().StringVar(&f.source, "source", client.Source, "source of the command, a `URI`")
	cmd.Flags().Var(timetext.Flag(&f.timeout, 10*time.Second), "timeout", "how long to wait for the answer")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON, also errors")
	return cmd
}

// texts are the outcomes of a request.
var texts = map[notbefore.CancelState]string{
	notbefore.Cancelled: "cancelled",
	notbefore.Begun:     "too late: the command was begun, or has a result already",
	notbefore.NotFound:  "no delayed command has this id and source",
}

func (f *cancelFlags) cancel(ctx context.Context, out io.Writer, id string) error {
	broker, err := f.Dial()
	if err != nil {
		return err
	}
	defer broker.Close()
	if err := f.ChooseCloud(ctx, broker); err != nil {
		return err
	}
	broker.CollectRefusals()
	ctx, stop := context.WithTimeout(ctx, f.timeout)
	defer stop()
	prefix := events.Prefix(f.Prefix)
	state, err := broker.Bridge(prefix, f.Cloud).Cancel(ctx, f.source, id)
	switch {
	case natserr.NobodyAnswers(err):
		return fmt.Errorf("no bridge with the role egress that knows delayed commands is connected for the cloud %s, or this account may not ask it: %w", f.Cloud, err)
	case errors.Is(err, context.DeadlineExceeded):
		return exit.With(exit.NoResult, broker.Why(fmt.Errorf("no answer within %s; the command may be cancelled or not, do it again: %w", f.timeout, err), prefix.Cancel(f.Cloud)))
	case err != nil:
		return broker.Why(err, prefix.Cancel(f.Cloud))
	}
	if err := f.print(out, id, state); err != nil {
		return err
	}
	if state != notbefore.Cancelled {
		return exit.Silent(exit.Rejected)
	}
	return nil
}

func (f *cancelFlags) print(out io.Writer, id string, state notbefore.CancelState) error {
	if f.asJSON {
		return json.NewEncoder(out).Encode(struct {
			ID     string                `json:"id"`
			Source string                `json:"source"`
			State  notbefore.CancelState `json:"state"`
		}{id, f.source, state})
	}
	text, known := texts[state]
	if !known {
		text = string(state)
	}
	_, err := fmt.Fprintf(out, "%s\n  id  %s\n", text, id)
	return err
}
