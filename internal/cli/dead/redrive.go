package dead

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/operation"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/internal/translate/content"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

type redriveFlags struct {
	deadFlags
	sets               []string
	source, charset    string
	rate               float64
	dryRun, keep, wait bool
	timeout            time.Duration

	named []deadName
	edits []edit
	notes io.Writer // for lines about why a command waits
}

func newDeadRedrive() *cobra.Command {
	var f redriveFlags
	cmd := &cobra.Command{
		Use:   "redrive [CLOUD/SEQ | ID]...",
		Short: "Send dead letters again",
		Long: `Send dead letters again: those with the given names, or those that the filters select. A command goes back to its subject,
a webhook is translated again. Each dead letter is deleted as soon as the stream has stored the message. The body of a webhook
is decompressed and converted according to its headers; --charset sets the charset if they do not.

A command keeps its id, so it is not carried out twice. If --set changes its data, it is another command with a new id. Filters
skip dead letters that factro may have carried out (ambiguous, undeliverable), unless --code names that code: check factro
first.

A dead letter that cannot be sent again stays where it is, and the exit code is 1. With --wait the exit code is 3 if a command
was rejected, 4 if it became a dead letter again, 5 if its result did not arrive in time.`,
		Example: `  bridge dead redrive acme/17 --wait
  bridge dead redrive acme/17 --set title='Prüfung' --set executorId:=null
  bridge dead redrive --code exhausted --since 2h --rate 2 --dry-run
  bridge dead redrive --kind webhook --set action=TaskCreated
  bridge dead redrive acme/18 --charset iso-8859-1`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeNames(&f.Flags),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.named, err = f.parseNames(args); err != nil {
				return err
			}
			if f.rate <= 0 || f.rate > 1000 {
				return exit.Usage("--rate: %g is not between 0 and 1000", f.rate)
			}
			if f.edits, err = parseEdits(f.sets); err != nil {
				return f.usageError(err)
			}
			f.notes = cmd.ErrOrStderr()
			watched := f.Start(cmd)
			defer watched.Stop()
			return f.redrive(cmd.Context(), watched.Beside(cmd.OutOrStdout()), watched)
		},
	}
	f.add(cmd)
	cmd.Flags().StringArrayVar(&f.sets, "set", nil, "change the data: `field=value`, field:=json, or a.b=value for a nested field; repeatable")
	cmd.Flags().StringVar(&f.source, "source", "", "source `URI` of the events of webhooks (default urn:factro:cloud:<cloud>)")
	cmd.Flags().StringVar(&f.charset, "charset", "", "`charset` of the bodies of webhooks that are not UTF-8, such as iso-8859-1")
	cmd.Flags().Float64Var(&f.rate, "rate", 5, "send at most this many per second")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only print what would be sent")
	cmd.Flags().BoolVar(&f.keep, "keep", false, "keep the dead letters")
	cmd.Flags().BoolVarP(&f.wait, "wait", "w", false, "wait for the result of each command")
	cmd.Flags().Var(timetext.Flag(&f.timeout, 30*time.Second), "timeout", "how long to wait for each result")
	return cmd
}

// usageError adds the name of the flag to a mistake in an edit.
func (f *redriveFlags) usageError(err error) error { return exit.Usage("--set: %w", err) }

func (f *redriveFlags) options() options {
	return options{
		prefix: events.Prefix(f.Prefix), edits: f.edits, fields: fieldsOf, decode: f.decode, event: f.event,
		includeUnsure: len(f.named) > 0 || f.filter.Code != "", perSecond: f.rate, dryRun: f.dryRun, keep: f.keep, watch: f.wait,
	}
}

// fieldsOf are the fields of an operation.
func fieldsOf(name string) []field {
	op, ok := factro.Lookup(name)
	if !ok {
		return nil
	}
	fields := make([]field, len(op.Fields))
	for i, f := range op.Fields {
		fields[i] = field{f.Name, f.Type}
	}
	return fields
}

func (f *redriveFlags) redrive(ctx context.Context, out io.Writer, watched *progress.Task) error {
	client, err := f.Dial()
	if err != nil {
		return err
	}
	defer client.Close()
	count, err := f.count(ctx, client, f.named, watched)
	if err != nil {
		return err
	}
	r := newRedriver(client, f.options())
	watched.Begin("send dead letters again", "dead letter", int64(count))
	total, left, code := 0, 0, exit.OK
	err = f.each(ctx, client, f.named, nil, func(l deadletter.Entry) error {
		total++
		defer watched.Add(1)
		o, err := r.redrive(ctx, l)
		if printErr := f.print(out, o); printErr != nil {
			return errors.Join(err, printErr)
		}
		switch {
		case err != nil:
			return err
		case o.keptBecause != nil:
			left++
			code = max(code, exit.Failure)
		case f.wait && o.command != nil:
			ended, err := f.result(ctx, out, client, o)
			code = max(code, ended)
			return err
		}
		return nil
	})
	if wrong, ok := errors.AsType[*editError](err); ok {
		return f.usageError(wrong)
	}
	switch {
	case err != nil:
		return err
	case total == 0:
		return f.printNone(out)
	case left > 0:
		return exit.With(code, fmt.Errorf("%d of %s %s left", left, plural.Of(total, "dead letter"), plural.Choose(left, "was", "were")))
	case code != exit.OK:
		return exit.Silent(code)
	}
	return nil
}

// print prints the outcome for one dead letter.
func (f *redriveFlags) print(out io.Writer, o outcome) error {
	name := o.dead.Name()
	how := "published"
	if o.dead.Kind == deadletter.Command {
		how = "sent again"
		if o.edited {
			how = "sent as a new command"
		}
	}
	if f.dryRun {
		how = "would be " + how
	}
	var err error
	switch {
	case o.keptBecause != nil:
		_, err = fmt.Fprintf(out, "%s left: %s\n", name, output.OneLine([]byte(o.keptBecause.Error())))
	case o.subject != "":
		_, err = fmt.Fprintf(out, "%s %s on %s\n  id     %s\n", name, how, output.OneLine([]byte(o.subject)), output.OneLine([]byte(o.id)))
	}
	if err == nil && o.command != nil {
		_, err = fmt.Fprintf(out, "  trace  %s\n", o.trace)
	}
	return err
}

// result waits for the result of a command, prints it, and returns its exit code.
func (f *redriveFlags) result(ctx context.Context, out io.Writer, client *client.Client, o outcome) (int, error) {
	waiting, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	p, cloud := events.Prefix(f.Prefix), o.command.Cloud
	w := operation.NewWaitReporter(client, p, cloud, f.notes)
	var watch sync.WaitGroup
	watch.Go(func() {
		client.Bridge(p, cloud).WatchStatus(waiting, o.position, func(s status.Status, err error) { w.Report(waiting, s, err) })
	})
	defer func() { cancel(); watch.Wait(); w.End() }()
	r, err := o.command.Result(waiting, client, p, o.from)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		_, err = fmt.Fprintf(out, "  no final result within %s; the command is in the stream\n", f.timeout)
		return exit.NoResult, err
	}
	if err != nil {
		return exit.OK, err
	}
	output.PrintResult(out, r, "")
	return operation.ExitCode(r.Outcome), nil
}

// largestBody is the largest body that a bridge can be configured to accept.
const largestBody = 64 << 20

// decode returns the body of a webhook as UTF-8, decompressed.
func (f *redriveFlags) decode(l deadletter.Entry) ([]byte, error) {
	headers := content.Headers{Type: l.Request.Get("Content-Type"), Encodings: l.Request.Values("Content-Encoding")}
	data, err := headers.Decode(l.Data, largestBody, nil)
	if f.charset == "" || err == nil && utf8.Valid(data) {
		return data, err
	}
	headers.Charset = f.charset // the declared charset was wrong
	return headers.Decode(l.Data, largestBody, nil)
}

// event translates the body of a webhook again.
func (f *redriveFlags) event(l deadletter.Entry, data []byte) (subject string, e event.Event, err error) {
	made, err := translate.Webhook(data, translate.Receipt{
		Cloud: l.Cloud, Source: cmp.Or(f.source, "urn:factro:cloud:"+l.Cloud), At: l.Died, Origin: "webhook",
		// After a crash in between, the same dead letter becomes the same event.
		NewID: func() string {
			return uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s:%d:%d", l.Subject, l.Sequence, l.Time.UnixNano())).String()
		},
	})
	if err != nil {
		hint := ""
		if !utf8.Valid(data) {
			hint = "; if you know its charset, use --charset"
		}
		return "", event.Event{}, fmt.Errorf("it still cannot become an event: %w%s", err, hint)
	}
	return events.Prefix(f.Prefix).Event(l.Cloud, made.Resource, made.EntityID, made.Action), made.Event, nil
}
