package operation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

type sendFlags struct {
	connect.Flags
	id      string
	dryRun  bool
	wait    bool
	timeout time.Duration
	asJSON  bool
	quiet   output.ProgressFlag
	// watch begins to print progress.
	watch func() *progress.Task
}

// NewSend makes the command send.
func NewSend() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send OPERATION [field=value | field:=json | field=@file]...",
		Short: "Send a command, and wait for its result if asked",
		Long: `Send a command to the bridge. "bridge contract operations OPERATION" shows its fields.

field=value takes the value as the field's type wants it: text as it is, numbers and booleans as such.
field:=json takes any JSON, such as null or a list. file=@path uploads a file; a large one goes through the object store of
NATS.

send checks the command against its schema first, with or without --wait. It lists all mistakes, sends nothing, and exits with 2.

The id of a command is its idempotency key: sending it again with the same --id does not do it again. Other data under
that id is refused with exit code 3, and send shows the result of the earlier command.

While it waits, send says on standard error what for: commands before it, a factro that cannot be reached, an API key that is
refused. With --dry-run --wait it prints the call that would be made.`,
		Example: `  bridge send createTask title='Prüfung' targetParentId=0f5ac7e0-0000-4000-8000-000000000020 --wait
  bridge send setTaskState taskId=0f5ac7e0-0000-4000-8000-000000000080 state=review
  bridge send updateTask taskId=0f5ac7e0-0000-4000-8000-000000000080 executorId:=null --wait
  bridge send createTaskDocument taskId=0f5ac7e0-0000-4000-8000-000000000080 file=@plan.pdf
  bridge send createProject title=Umbau --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exit.Usage("which operation? bridge contract operations lists them")
			}
			return nil
		},
		ValidArgsFunction: completeFields(factro.Operation.Writes),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.watch = func() *progress.Task { return f.quiet.Start(cmd) }
			return f.send(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0], args[1:])
		},
	}
	f.Add(cmd)
	f.CloudFlag(cmd)
	f.quiet.Add(cmd)
	cmd.Flags().StringVar(&f.id, "id", "", "`id` of the command; a new one if not given")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "have the bridge check the command and report the call that it would make")
	cmd.Flags().BoolVarP(&f.wait, "wait", "w", false, "wait for the final result")
	cmd.Flags().Var(timetext.Flag(&f.timeout, 30*time.Second), "timeout", "how long to wait")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON: the result events with --wait, else what was sent; errors, too")
	return cmd
}

func (f *sendFlags) send(ctx context.Context, out, notes io.Writer, name string, args []string) error {
	op, err := Lookup(name)
	if err != nil {
		return err
	}
	if !op.Writes() {
		return exit.Usage("%s reads; commands are the operations that write", name)
	}
	client, data, err := f.prepare(ctx, op, args)
	if client != nil {
		defer client.Close()
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(telemetry.NewTrace(ctx), f.timeout)
	defer cancel()
	client.CollectRefusals()
	bridge := client.Bridge(events.Prefix(f.Prefix), f.Cloud)
	cmd := payload.Generic{Name: op.Name, Resource: op.Resource, Data: json.RawMessage(data)}
	opts := f.options()
	if !f.wait {
		sent, err := bridge.Send(ctx, cmd, opts...)
		if err != nil {
			return f.verdict(out, events.Result{}, f.notSent(ctx, client, op, err))
		}
		return f.printSent(out, events.Prefix(f.Prefix).Command(f.Cloud, op.Resource, op.Name), sent, trace.SpanContextFromContext(ctx).TraceID().String())
	}
	w := NewWaits(client, events.Prefix(f.Prefix), f.Cloud, notes)
	r, err := bridge.Do(ctx, cmd, append(opts, events.OnResult(func(e events.Event) { f.print(out, e) }),
		events.OnStatus(func(s status.Status, err error) { w.Report(ctx, s, err) }))...)
	err = f.notSent(ctx, client, op, err)
	cancel() // the result is there, or the wait is over
	w.End()
	return f.verdict(out, r, err)
}

// printSent prints what was sent, for a command without --wait.
func (f *sendFlags) printSent(out io.Writer, subject string, sent events.Sent, traceID string) error {
	if sent.Duplicate {
		traceID = "" // the earlier one's is another
	}
	var err error
	switch {
	case f.asJSON:
		err = json.NewEncoder(out).Encode(struct {
			Subject   string `json:"subject"`
			ID        string `json:"id"`
			Trace     string `json:"trace,omitempty"`
			Duplicate bool   `json:"duplicate"` // the id was used before: it was not sent again
		}{subject, sent.ID, traceID, sent.Duplicate})
	case sent.Duplicate:
		_, err = fmt.Fprintf(out, "not sent again\n  id     %s was used before\n", sent.ID)
	default:
		how := ""
		if f.dryRun {
			how = " as a dry run"
		}
		_, err = fmt.Fprintf(out, "sent %s%s\n  id     %s\n  trace  %s\n", subject, how, sent.ID, traceID)
	}
	return err
}

// notSent adds to an error why the command was not sent, as far as it can be found out: a refused permission, or a cloud that
// no bridge serves.
func (f *sendFlags) notSent(ctx context.Context, client *client.Client, op factro.Operation, err error) error {
	if err == nil {
		return nil
	}
	if natserr.NobodyTakes(err) {
		return f.Unserved(ctx, client, f.Cloud, err)
	}
	return client.Why(err, events.Prefix(f.Prefix).Command(f.Cloud, op.Resource, op.Name))
}

func (f *sendFlags) options() []events.DoOption {
	var opts []events.DoOption
	if f.id != "" {
		opts = append(opts, events.WithID(f.id))
	}
	if f.dryRun {
		opts = append(opts, events.DryRun())
	}
	return opts
}

// verdict gives what became of a command its exit code.
func (f *sendFlags) verdict(out io.Writer, r events.Result, err error) error {
	if reused, ok := errors.AsType[*events.ReusedError](err); ok {
		return f.reused(out, r, reused)
	}
	pending, isPending := errors.AsType[*events.PendingError](err)
	if isPending && f.asJSON {
		why := &events.Error{Code: "pending", Message: pending.Error()} // no code of the contract's: there is no result
		if err := output.PrintError(out, pending.ID, why, nil); err != nil {
			return err
		}
	}
	if isPending && errors.Is(err, context.DeadlineExceeded) && !pending.Unsure {
		return exit.With(exit.NoResult, fmt.Errorf("no final result within %s; the command %s is in the stream", f.timeout, pending.ID))
	}
	if code := ExitCode(r.Outcome); code != exit.OK {
		return exit.Silent(code)
	}
	return err
}

// ExitCode is the exit code of the outcome of a command.
func ExitCode(o events.Outcome) int {
	switch o {
	case events.Rejected:
		return exit.Rejected
	case events.Dead:
		return exit.Dead
	case events.Applied, events.Deferred:
	}
	return exit.OK
}

// reused reports an id that another command has, and the result of that one. With a result of its own the command has been
// printed already.
func (f *sendFlags) reused(out io.Writer, r events.Result, e *events.ReusedError) error {
	if f.asJSON && r.Outcome == "" {
		conflict, _ := errors.AsType[*events.Error](e)
		if err := output.PrintError(out, e.ID, conflict, e.Earlier); err != nil {
			return err
		}
	}
	what := "other data"
	if e.Operation != "" {
		what = "the operation " + e.Operation
	}
	text := fmt.Sprintf("id %s was used before, for %s; this command was not carried out", e.ID, what)
	if e.Earlier != nil {
		var earlier strings.Builder
		output.PrintResult(&earlier, *e.Earlier, "")
		text = fmt.Sprintf("id %s was used before, for %s; the earlier result was: %s", e.ID, what, strings.TrimSpace(earlier.String()))
	}
	return exit.With(exit.Rejected, errors.New(text))
}

func (f *sendFlags) print(out io.Writer, e events.Event) {
	m := journal.Message{Subject: e.Subject, Header: e.Header, Data: e.Data(), Event: e.CloudEvent}
	if f.asJSON {
		output.PrintJSON(out, m)
		return
	}
	if r, err := e.Result(); err == nil { // Do hands over nothing else
		output.PrintResult(out, r, m.TraceID())
	}
}

// prepare makes the command's data and the connection to send it by. Mistakes of the command line come before those of the
// connection, but a file that is too large for the data needs one first.
func (f *sendFlags) prepare(ctx context.Context, op factro.Operation, args []string) (client *client.Client, data []byte, err error) {
	if err := checkData(op, args); err != nil {
		return nil, nil, err
	}
	data, err = commandData(op, args, func(path string) (any, error) {
		if client, err = f.connect(ctx); err != nil {
			return nil, err
		}
		watched := f.watch()
		defer watched.Stop()
		return newUpload(ctx, client, events.Prefix(f.Prefix), f.Cloud, f.id, watched)(path)
	})
	if err == nil && client == nil {
		client, err = f.connect(ctx)
	}
	return client, data, err
}

// connect connects, and makes sure that there is a cloud.
func (f *sendFlags) connect(ctx context.Context) (*client.Client, error) {
	client, err := f.Dial()
	if err != nil {
		return nil, err
	}
	if err := f.ChooseCloud(ctx, client); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}
