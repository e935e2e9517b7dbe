package dead

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/operation"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

type redriveFlags struct {
	deadFlags
	sets               []string
	source, charset    string
	rate               float64
	dryRun, keep, wait bool
	timeout            time.Duration

	notes io.Writer // where lines about what a command waits for go
	named []letterName
	limit *rate.Limiter
	left  int // letters that were not sent again
	code  int // the exit code
}

func newDeadRedrive() *cobra.Command {
	var f redriveFlags
	cmd := &cobra.Command{
		Use:   "redrive [CLOUD/SEQ | ID]...",
		Short: "Send dead letters again",
		Long: `Send dead letters again: those with the given names, or those that the filters choose. A command goes back to its
subject, a webhook is translated again, and each letter is deleted as soon as the stream has what was sent. A webhook's body
is unpacked and converted as the headers say that it came with; where they do not tell, --charset does.

A command keeps its id, so what was done already is not done twice. If --set changes its data, it is another command and
gets a new id. Filters leave letters out of which factro may have done what they say (ambiguous, undeliverable), unless
--code names just these: look at factro first.

A letter that cannot be sent again is left where it is, and the exit code is 1. With --wait the exit code is 3 if a command
was rejected, 4 if it died again, 5 if its result did not come in time.`,
		Example: `  bridge dead redrive acme/17 --wait
  bridge dead redrive acme/17 --set title='Prüfung' --set executorId:=null
  bridge dead redrive --code exhausted --since 2h --rate 2 --dry-run
  bridge dead redrive --kind webhook --set action=TaskCreated
  bridge dead redrive acme/18 --charset iso-8859-1`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeLetters(&f.Flags),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.named, err = f.pick(args); err != nil {
				return err
			}
			if f.rate <= 0 || f.rate > 1000 {
				return exit.Usage("--rate: %g is not between 0 and 1000", f.rate)
			}
			f.notes = cmd.ErrOrStderr()
			watched := f.Start(cmd)
			defer watched.Stop()
			return f.redrive(cmd.Context(), watched.Beside(cmd.OutOrStdout()), watched)
		},
	}
	f.add(cmd)
	cmd.Flags().StringArrayVar(&f.sets, "set", nil, "change the data: `field=value`, field:=json, or a.b=value for what is inside; may be repeated")
	cmd.Flags().StringVar(&f.source, "source", "", "source `URI` of the events of webhooks (default urn:factro:cloud:<cloud>)")
	cmd.Flags().StringVar(&f.charset, "charset", "", "`charset` of the bodies of webhooks that are not UTF-8, such as iso-8859-1")
	cmd.Flags().Float64Var(&f.rate, "rate", 5, "send at most so many a second")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only tell what would be sent")
	cmd.Flags().BoolVar(&f.keep, "keep", false, "keep the letters")
	cmd.Flags().BoolVarP(&f.wait, "wait", "w", false, "wait for the result of each command")
	cmd.Flags().Var(timetext.Flag(&f.timeout, 30*time.Second), "timeout", "how long to wait for each")
	return cmd
}

func (f *redriveFlags) redrive(ctx context.Context, out io.Writer, watched *progress.Task) error {
	client, err := f.Dial()
	if err != nil {
		return err
	}
	defer client.Close()
	f.limit = rate.NewLimiter(rate.Limit(f.rate), 1)
	count, err := f.count(ctx, client, f.named, watched)
	if err != nil {
		return err
	}
	watched.Begin("send dead letters again", "dead letter", int64(count))
	total := 0
	err = f.each(ctx, client, f.named, nil, func(l bus.DeadLetter) error {
		total++
		defer watched.Add(1)
		err := f.one(telemetry.NewTrace(ctx), out, client, l)
		if left := (*staysError)(nil); errors.As(err, &left) {
			f.left++
			f.code = max(f.code, exit.Failure)
			_, err = fmt.Fprintf(out, "%s left: %s\n", l.Name(), output.OneLine([]byte(left.Error())))
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case total == 0:
		return f.printNone(out)
	case f.left > 0:
		return exit.With(f.code, fmt.Errorf("%d of %s %s left", f.left, plural.Of(total, "dead letter"), plural.Choose(f.left, "was", "were")))
	case f.code != exit.OK:
		return exit.Silent(f.code)
	}
	return nil
}

// staysError is why a letter is left where it is.
type staysError struct{ error }

func (e *staysError) Unwrap() error { return e.error }

// one sends one letter again.
func (f *redriveFlags) one(ctx context.Context, out io.Writer, client *bus.Client, l bus.DeadLetter) error {
	whole, err := client.Original(ctx, events.Prefix(f.Prefix), l)
	if errors.Is(err, bus.ErrNoFile) {
		return &staysError{fmt.Errorf("only a part of it was kept, and the rest is gone: %w", err)}
	}
	if err != nil {
		return err
	}
	l = whole
	if l.Kind == bus.DeadWebhook && !l.Partial {
		if l.Data, err = f.decode(l); err != nil {
			return &staysError{err}
		}
	}
	data, err := change(l, f.sets)
	if err != nil {
		if _, isUsage := errors.AsType[*exit.Error](err); isUsage {
			return err
		}
		return &staysError{err}
	}
	if l.Kind == bus.DeadWebhook {
		err = f.webhook(ctx, out, client, l, data)
	} else {
		err = f.command(ctx, out, client, l, data)
	}
	if bus.Permanent(err) { // that one's own fault: the others go on
		return &staysError{err}
	}
	return err
}

func (f *redriveFlags) command(ctx context.Context, out io.Writer, client *bus.Client, l bus.DeadLetter, data []byte) error {
	if len(f.named) == 0 && f.filter.Code == "" && (l.Code == events.CodeAmbiguous || l.Code == events.CodeUndeliverable) {
		return &staysError{fmt.Errorf("it is %s, so factro may have done it; look there, and then name it or with --code %s", l.Code, l.Code)}
	}
	p := events.Prefix(f.Prefix)
	again, err := bus.PrepareRedrive(p, l, data, time.Now())
	if err != nil {
		return &staysError{err}
	}
	how := "again"
	if data != nil {
		how = "as a new command"
	}
	if f.dryRun {
		_, err := fmt.Fprintf(out, "%s would be sent %s on %s\n  id     %s\n", l.Name(), how, output.OneLine([]byte(again.Subject)), output.OneLine([]byte(again.ID)))
		return err
	}
	if err := f.limit.Wait(ctx); err != nil {
		return err
	}
	var from uint64
	if f.wait {
		if from, err = client.NextResult(ctx, p, again.Cloud); err != nil {
			return err
		}
	}
	position, err := client.Redrive(ctx, events.Prefix(f.Prefix), again)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s sent %s on %s\n  id     %s\n  trace  %s\n", l.Name(), how, output.OneLine([]byte(again.Subject)), output.OneLine([]byte(again.ID)), trace.SpanContextFromContext(ctx).TraceID())
	if err := f.drop(ctx, client, l); err != nil {
		return err
	}
	if !f.wait {
		return nil
	}
	return f.result(ctx, out, client, again, position, from)
}

// result waits for what became of a command, and remembers the exit code that goes with it.
func (f *redriveFlags) result(ctx context.Context, out io.Writer, client *bus.Client, again bus.Redriven, position string, from uint64) error {
	waiting, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	w := &operation.Waits{Client: client, Prefix: events.Prefix(f.Prefix), Cloud: again.Cloud, Notes: f.notes}
	var watch sync.WaitGroup
	watch.Go(func() {
		client.Bridge(w.Prefix, again.Cloud).WatchStatus(waiting, position, func(s events.Status, err error) { w.Tell(waiting, s, err) })
	})
	defer func() { cancel(); watch.Wait(); w.End() }()
	r, err := client.FinalResult(waiting, events.Prefix(f.Prefix), again, from)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		f.code = max(f.code, exit.NoResult)
		_, err = fmt.Fprintf(out, "  no final result within %s; the command is in the stream\n", f.timeout)
		return err
	}
	if err != nil {
		return err
	}
	output.PrintResult(out, r, "")
	switch r.Outcome {
	case events.Rejected:
		f.code = max(f.code, exit.Rejected)
	case events.Dead:
		f.code = max(f.code, exit.Dead)
	case events.Applied, events.Deferred:
	}
	return nil
}

// largestBody is the largest body that a bridge can be told to take.
const largestBody = 64 << 20

// decode is the body of a webhook as UTF-8, unpacked.
func (f *redriveFlags) decode(l bus.DeadLetter) ([]byte, error) {
	content := translate.Content{Type: l.Request.Get("Content-Type"), Encodings: l.Request.Values("Content-Encoding")}
	data, err := content.Decode(l.Data, largestBody, nil)
	if f.charset == "" || err == nil && utf8.Valid(data) {
		return data, err
	}
	content.Charset = f.charset // whatever was declared was wrong
	return content.Decode(l.Data, largestBody, nil)
}

// webhook translates the body of a webhook again and publishes the event.
func (f *redriveFlags) webhook(ctx context.Context, out io.Writer, client *bus.Client, l bus.DeadLetter, data []byte) error {
	if l.Partial {
		return &staysError{errors.New("only a part of it was kept")}
	}
	if data == nil {
		data = l.Data
	}
	source := f.source
	if source == "" {
		source = "urn:factro:cloud:" + l.Cloud
	}
	e, err := translate.Webhook(data, translate.Receipt{
		Cloud: l.Cloud, Source: source, At: l.Died, Origin: "webhook",
		// Sent again after a crash in between it is the same event.
		NewID: func() string {
			return uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s:%d:%d", l.Subject, l.Sequence, l.Time.UnixNano())).String()
		},
	})
	if err != nil {
		hint := ""
		if !utf8.Valid(data) {
			hint = "; if you know its charset, give it with --charset"
		}
		return &staysError{fmt.Errorf("it is still no event: %w%s", err, hint)}
	}
	subject := events.Prefix(f.Prefix).Event(l.Cloud, e.Resource, e.EntityID, e.Action)
	if f.dryRun {
		_, err := fmt.Fprintf(out, "%s would be published on %s\n  id     %s\n", l.Name(), output.OneLine([]byte(subject)), output.OneLine([]byte(e.ID())))
		return err
	}
	if err := f.limit.Wait(ctx); err != nil {
		return err
	}
	if err := client.PublishEvent(ctx, events.Prefix(f.Prefix), subject, e.Event, l.Cloud+"."+e.ID()); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s published on %s\n  id     %s\n", l.Name(), output.OneLine([]byte(subject)), output.OneLine([]byte(e.ID())))
	return f.drop(ctx, client, l)
}

func (f *redriveFlags) drop(ctx context.Context, client *bus.Client, l bus.DeadLetter) error {
	if f.keep {
		return nil
	}
	return client.DropLetter(ctx, events.Prefix(f.Prefix), l.Cloud, l.Sequence)
}
