package dead

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// This file and edit.go know nothing of flags, printing and exit codes: what they need of the command line comes in as values.

// options say how dead letters are sent again.
type options struct {
	prefix events.Prefix
	edits  []edit
	// fields are those of an operation, nil if it is not known: then any field may be set.
	fields func(operation string) []field
	// decode unpacks the body of a webhook into UTF-8, event makes an event of it.
	decode func(deadletter.Entry) ([]byte, error)
	event  func(l deadletter.Entry, data []byte) (subject string, e event.Event, err error)
	// unsure sends commands that factro may have carried out, too.
	unsure bool
	// perSecond bounds how many are sent.
	perSecond float64
	dryRun    bool
	keep      bool // the dead letters stay in their stream
	// watch has the outcome of a command say where its result will come.
	watch bool
}

// outcome is what became of one dead letter. Without a subject nothing was sent.
type outcome struct {
	dead deadletter.Entry
	// subject and id are those of what was sent, or would be in a dry run.
	subject, id string
	trace       string
	edited      bool // it is a new command, with an id of its own
	// command is what was sent again, at a position in the stream of commands; nil for a webhook. Its result comes from the sequence
	// from on.
	command  *deadletter.Redrive
	position string
	from     uint64
	// left is why the dead letter stays where it is; the others go on.
	left error
}

// redriver sends dead letters again, one after the other.
type redriver struct {
	options
	client *client.Client
	limit  *rate.Limiter
}

func newRedriver(client *client.Client, o options) *redriver {
	return &redriver{options: o, client: client, limit: rate.NewLimiter(rate.Limit(o.perSecond), 1)}
}

// redrive sends one dead letter again and deletes it once the stream has what was sent. The outcome says what was sent even if the
// error says that the dead letter could not be deleted. An error ends the whole batch.
func (r *redriver) redrive(ctx context.Context, l deadletter.Entry) (outcome, error) {
	ctx = telemetry.NewTrace(ctx)
	o := outcome{dead: l, trace: trace.SpanContextFromContext(ctx).TraceID().String()}
	whole, err := deadletter.Original(ctx, r.client, r.prefix, l)
	if errors.Is(err, objects.ErrNoFile) {
		o.left = fmt.Errorf("only a part of it was kept, and the rest is gone: %w", err)
		return o, nil
	}
	if err != nil {
		return o, err
	}
	o.dead = whole
	if whole.Kind == deadletter.Webhook {
		err = r.webhook(ctx, &o)
	} else {
		err = r.command(ctx, &o)
	}
	if publish.Permanent(err) { // this one's own fault: the others go on
		o.left, err = err, nil
	}
	return o, err
}

func (r *redriver) command(ctx context.Context, o *outcome) error {
	l := o.dead
	data, err := r.edit(l)
	if err != nil {
		return o.leave(err)
	}
	if !r.unsure && (l.Code == events.CodeAmbiguous || l.Code == events.CodeUndeliverable) {
		return o.leave(fmt.Errorf("it is %s, so factro may have done it; look there, and then name it or with --code %s", l.Code, l.Code))
	}
	again, err := deadletter.NewRedrive(r.prefix, l, data, time.Now())
	if err != nil {
		return o.leave(err)
	}
	o.edited = data != nil
	if r.dryRun {
		o.subject, o.id = again.Subject, again.ID
		return nil
	}
	if err := r.limit.Wait(ctx); err != nil {
		return err
	}
	if r.watch {
		if o.from, err = deadletter.NextResult(ctx, r.client, r.prefix, again.Cloud); err != nil {
			return err
		}
	}
	if o.position, err = again.Send(ctx, r.client, r.prefix); err != nil {
		return err
	}
	o.subject, o.id, o.command = again.Subject, again.ID, &again
	return r.drop(ctx, l)
}

// webhook translates the body of a webhook again and publishes the event.
func (r *redriver) webhook(ctx context.Context, o *outcome) error {
	l := o.dead
	if l.Partial {
		return o.leave(errors.New("only a part of it was kept"))
	}
	var err error
	if l.Data, err = r.decode(l); err != nil {
		return o.leave(err)
	}
	data, err := r.edit(l)
	if err != nil {
		return o.leave(err)
	}
	if data == nil {
		data = l.Data
	}
	subject, e, err := r.event(l, data)
	if err != nil {
		return o.leave(err)
	}
	if r.dryRun {
		o.subject, o.id = subject, e.ID()
		return nil
	}
	if err := r.limit.Wait(ctx); err != nil {
		return err
	}
	if err := r.client.PublishEvent(ctx, r.prefix, subject, e, l.Cloud+"."+e.ID()); err != nil {
		return err
	}
	o.subject, o.id = subject, e.ID()
	return r.drop(ctx, l)
}

// edit is the data of a dead letter with the edits; nil if they change nothing.
func (r *redriver) edit(l deadletter.Entry) ([]byte, error) {
	return applyEdits(l, r.edits, r.fields(l.Operation))
}

func (r *redriver) drop(ctx context.Context, l deadletter.Entry) error {
	if r.keep {
		return nil
	}
	return deadletter.Drop(ctx, r.client, r.prefix, l.Cloud, l.Sequence)
}

// leave notes why the dead letter stays. A mistake in the edits is one for all dead letters: it ends the batch.
func (o *outcome) leave(err error) error {
	if _, ok := errors.AsType[*editError](err); ok {
		return err
	}
	o.left = err
	return nil
}
