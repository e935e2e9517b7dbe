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
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

type sendFlags struct {
	connect.Flags
	id      string
	after   string // the time before which the command is not carried out
	key     string
	clash   string
	lane    string // the partition key
	urgency string // the priority
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

field=value takes a value of the field's type: text, a number or a boolean. field:=json takes any JSON, such as null or a list.
file=@path uploads a file; a large file goes through the object store of NATS.

send checks the command against its schema first, with or without --wait. If there are mistakes, it lists all of them, sends
nothing, and exits with 2.

The id of a command is its idempotency key: a command with the same --id is not carried out again. Other data with the same id
is refused with exit code 3, and send shows the result of the earlier command.

With --not-before the command waits in NATS and is carried out no earlier: a time, or a duration from now on. bridge cancel cancels it.

While it waits, send prints the reason on standard error: commands before it, factro cannot be reached, or the API key is
refused. With --dry-run --wait it prints the call that the bridge would make.`,
		Example: `  bridge send createTask title='Prüfung' targetParentId=0f5ac7e0-0000-4000-8000-000000000020 --wait
  bridge send setTaskState taskId=0f5ac7e0-0000-4000-8000-000000000080 state=review
  bridge send updateTask taskId=0f5ac7e0-0000-4000-8000-000000000080 executorId:=null --wait
  bridge send createTaskDocument taskId=0f5ac7e0-0000-4000-8000-000000000080 file=@plan.pdf
  bridge send createProject title=Umbau --json
  bridge send deleteTask taskId=0f5ac7e0-0000-4000-8000-000000000080 --not-before 2h --id clean-up`,
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
	cmd.Flags().StringVar(&f.after, "not-before", "", "carry it out no earlier: a `time`, or a duration from now on")
	cmd.Flags().StringVar(&f.key, "external-key", "", "your own `key` of the object that the command creates; one key makes one object")
	cmd.Flags().StringVar(&f.clash, "on-conflict", "", "`what` to do if the key has an object: existing (the default), or update")
	_ = cmd.RegisterFlagCompletionFunc("on-conflict", cobra.FixedCompletions([]string{attr.OnConflictExisting, attr.OnConflictUpdate}, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringVar(&f.lane, "partition-key", "", "commands of one `key` are carried out in their order, whatever they change")
	priorities := []string{attr.PriorityHigh, attr.PriorityNormal, attr.PriorityLow}
	cmd.Flags().StringVar(&f.urgency, "priority", "", "of the commands that wait, `which` go first: high, normal (the default) or low")
	_ = cmd.RegisterFlagCompletionFunc("priority", cobra.FixedCompletions(priorities, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "let the bridge only check the command and report the call that it would make")
	cmd.Flags().BoolVarP(&f.wait, "wait", "w", false, "wait for the final result")
	cmd.Flags().Var(timetext.Flag(&f.timeout, 30*time.Second), "timeout", "how long to wait")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON: the result events with --wait, otherwise what was sent; also errors")
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
	if err := f.checkKey(op); err != nil {
		return err
	}
	opts, err := f.options(time.Now())
	if err != nil {
		return err
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
	if !f.wait {
		sent, err := bridge.Send(ctx, cmd, opts...)
		if err != nil {
			return f.verdict(out, events.Result{}, f.explainNotSent(ctx, client, op, err))
		}
		return f.printSent(out, events.Prefix(f.Prefix).Command(f.Cloud, op.Resource, op.Name), sent, trace.SpanContextFromContext(ctx).TraceID().String())
	}
	w := NewWaitReporter(client, events.Prefix(f.Prefix), f.Cloud, notes)
	r, err := bridge.Do(ctx, cmd, append(opts, events.OnResult(func(e events.Event) { f.print(out, e) }),
		events.OnStatus(func(s status.Status, err error) { w.Report(ctx, s, err) }))...)
	err = f.explainNotSent(ctx, client, op, err)
	cancel() // the result is there, or the wait is over
	w.End()
	return f.verdict(out, r, err)
}

// checkKey checks the flags for an external key.
func (f *sendFlags) checkKey(op factro.Operation) error {
	if f.clash != "" && f.clash != attr.OnConflictExisting && f.clash != attr.OnConflictUpdate {
		return exit.Usage("--on-conflict: %q is neither %s nor %s", f.clash, attr.OnConflictExisting, attr.OnConflictUpdate)
	}
	switch why := translate.BadKey(f.key); {
	case f.key == "" && f.clash != "":
		return exit.Usage("--on-conflict: there is no --external-key for it")
	case f.key == "":
		return nil
	case why != "":
		return exit.Usage("--external-key: %s", why)
	case op.Makes() == "":
		return exit.Usage("--external-key: %s creates no single object", op.Name)
	}
	if _, known := op.Upsert(); !known && f.clash == attr.OnConflictUpdate {
		return exit.Usage("--on-conflict: factro has no update for what %s creates", op.Name)
	}
	return nil
}

// printSent prints what was sent, for a command without --wait.
func (f *sendFlags) printSent(out io.Writer, subject string, sent events.Sent, traceID string) error {
	if sent.Duplicate {
		traceID = "" // the earlier command has another trace
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

// explainNotSent adds the likely reason why a command was not sent: a refused permission, or a cloud that no bridge serves.
func (f *sendFlags) explainNotSent(ctx context.Context, client *client.Client, op factro.Operation, err error) error {
	if err == nil {
		return nil
	}
	if natserr.NobodyTakes(err) {
		return f.UnservedError(ctx, client, f.Cloud, err)
	}
	return client.Why(err, events.Prefix(f.Prefix).Command(f.Cloud, op.Resource, op.Name))
}

func (f *sendFlags) options(now time.Time) ([]events.DoOption, error) {
	var opts []events.DoOption
	if f.after != "" {
		at, err := timetext.Ahead(f.after, now)
		if err != nil {
			return nil, exit.Usage("--not-before: %v", err)
		}
		opts = append(opts, events.WithNotBefore(at))
	}
	if f.id != "" {
		opts = append(opts, events.WithID(f.id))
	}
	if f.key != "" {
		opts = append(opts, events.WithExternalKey(f.key))
	}
	if f.clash != "" {
		opts = append(opts, events.WithOnConflict(f.clash))
	}
	if f.lane != "" {
		opts = append(opts, events.WithPartitionKey(f.lane))
	}
	switch f.urgency {
	case "":
	case attr.PriorityHigh, attr.PriorityNormal, attr.PriorityLow:
		opts = append(opts, events.WithPriority(f.urgency))
	default:
		return nil, exit.Usage("--priority: %q is neither %s nor %s nor %s", f.urgency, attr.PriorityHigh, attr.PriorityNormal, attr.PriorityLow)
	}
	if f.dryRun {
		opts = append(opts, events.DryRun())
	}
	return opts, nil
}

// verdict gives the outcome of a command its exit code.
func (f *sendFlags) verdict(out io.Writer, r events.Result, err error) error {
	if reused, ok := errors.AsType[*events.ReusedError](err); ok {
		return f.idReused(out, r, reused)
	}
	pending, isPending := errors.AsType[*events.PendingError](err)
	if isPending && f.asJSON {
		why := &events.Error{Code: "pending", Message: pending.Error()} // not a code of the contract: there is no result
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

// idReused reports that another command has the id, with the result of that command. If this command has a result of its own, it was
// already printed.
func (f *sendFlags) idReused(out io.Writer, r events.Result, e *events.ReusedError) error {
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
	if r, err := e.Result(); err == nil { // Do delivers only results
		output.PrintResult(out, r, m.TraceID())
	}
}

// prepare makes the command's data and the connection. Mistakes in the command line are reported before connection errors, but a file
// that is too large for the data needs a connection first.
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

// connect connects and chooses the cloud.
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
