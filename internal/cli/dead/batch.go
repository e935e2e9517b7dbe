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

// This file and edit.go do not depend on flags, printing or exit codes: they get all settings as values.

// options say how dead letters are sent again.
type options struct {
	prefix events.Prefix
	edits  []edit
	// fields returns the fields of an operation. It returns nil for an unknown operation: then any field may be set.
	fields func(operation string) []field
	// decode converts the body of a webhook to UTF-8, event makes an event from it.
	decode func(deadletter.Entry) ([]byte, error)
	event  func(l deadletter.Entry, data []byte) (subject string, e event.Event, err error)
	// includeUnsure also sends commands that factro may have carried out.
	includeUnsure bool
	// perSecond limits the rate of sending.
	perSecond float64
	dryRun    bool
	keep      bool // the dead letters stay in their stream
	// watch makes the outcome of a command say where its result will arrive.
	watch bool
}

// outcome is the outcome for one dead letter. Without a subject nothing was sent.
type outcome struct {
	dead deadletter.Entry
	// subject and id belong to the message that was sent, or would be sent without dry run.
	subject, id string
	trace       string
	edited      bool // it is a new command with its own id
	// command was sent again, at a position in the stream of commands; nil for a webhook. Its result has at least the sequence from.
	command  *deadletter.Redrive
	position string
	from     uint64
	// keptBecause is the reason why the dead letter stays where it is. The others are still sent.
	keptBecause error
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

// redrive sends one dead letter again and deletes it once the stream has stored the message. The outcome says what was sent, even if
// the dead letter could not be deleted. An error ends the whole batch.
func (r *redriver) redrive(ctx context.Context, l deadletter.Entry) (outcome, error) {
	ctx = telemetry.NewTrace(ctx)
	o := outcome{dead: l, trace: trace.SpanContextFromContext(ctx).TraceID().String()}
	whole, err := deadletter.Original(ctx, r.client, r.prefix, l)
	if errors.Is(err, objects.ErrNoFile) {
		o.keptBecause = fmt.Errorf("only a part of it was stored, and the rest is gone: %w", err)
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
	if publish.Permanent(err) { // the problem is in this dead letter: the others are still sent
		o.keptBecause, err = err, nil
	}
	return o, err
}

func (r *redriver) command(ctx context.Context, o *outcome) error {
	l := o.dead
	data, err := r.edit(l)
	if err != nil {
		return o.keep(err)
	}
	if !r.includeUnsure && (l.Code == events.CodeAmbiguous || l.Code == events.CodeUndeliverable) {
		return o.keep(fmt.Errorf("it is %s, so factro may have carried it out; check factro, then name the dead letter or use --code %s", l.Code, l.Code))
	}
	again, err := deadletter.NewRedrive(r.prefix, l, data, time.Now())
	if err != nil {
		return o.keep(err)
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
	return r.deleteUnlessKept(ctx, l)
}

// webhook translates the body of a webhook again and publishes the event.
func (r *redriver) webhook(ctx context.Context, o *outcome) error {
	l := o.dead
	if l.Partial {
		return o.keep(errors.New("only a part of it was kept"))
	}
	var err error
	if l.Data, err = r.decode(l); err != nil {
		return o.keep(err)
	}
	data, err := r.edit(l)
	if err != nil {
		return o.keep(err)
	}
	if data == nil {
		data = l.Data
	}
	subject, e, err := r.event(l, data)
	if err != nil {
		return o.keep(err)
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
	return r.deleteUnlessKept(ctx, l)
}

// edit returns the data of a dead letter with the edits, or nil if they change nothing.
func (r *redriver) edit(l deadletter.Entry) ([]byte, error) {
	return applyEdits(l, r.edits, r.fields(l.Operation))
}

func (r *redriver) deleteUnlessKept(ctx context.Context, l deadletter.Entry) error {
	if r.keep {
		return nil
	}
	return deadletter.Drop(ctx, r.client, r.prefix, l.Cloud, l.Sequence)
}

// keep sets the reason why the dead letter stays. A mistake in the edits applies to all dead letters, so it ends the batch.
func (o *outcome) keep(err error) error {
	if _, ok := errors.AsType[*editError](err); ok {
		return err
	}
	o.keptBecause = err
	return nil
}
