package command

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/tracing"
)

// Draft is a command that is to be sent.
type Draft struct {
	// ID is the command's. Event fills it in if it is "".
	ID string
	// Source is the sender, a URI. Event turns it into the form that its receiver reads.
	Source     string
	Extensions map[string]any
	DryRun     bool
}

// Event returns the CloudEvent of the command.
func (d *Draft) Event(eventType string, data []byte) (event.Event, error) {
	source, err := url.Parse(d.Source)
	if err != nil {
		return event.Event{}, fmt.Errorf("source: %w", err)
	}
	d.Source = sourceOnWire(source.String())
	if d.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return event.Event{}, fmt.Errorf("id: %w", err)
		}
		d.ID = id.String()
	}
	if d.DryRun {
		d.Extensions[attr.DryRun] = true
	}
	e := event.Event{
		Context: &event.EventContextV1{
			ID: d.ID, Source: types.URIRef{URL: *source}, Type: eventType, Time: &types.Timestamp{Time: time.Now()},
			DataContentType: new(event.ApplicationJSON), Extensions: d.Extensions,
		},
		DataEncoded: data,
	}
	var bad binding.Problems
	capAttributes(e, false, &bad) // the bridge would refuse it under another id, and nobody would know whose result that is
	return e, bad.Err()
}

// Message returns the message of the event, with the trace of ctx.
func (d *Draft) Message(ctx context.Context, subject string, e event.Event) (*nats.Msg, error) {
	if s := trace.SpanContextFromContext(ctx); s.IsValid() { // where the trace begins; the header is of the current hop
		origin := delivery.Header{}
		tracing.Propagator.Inject(ctx, origin)
		for _, name := range origin.Keys() {
			e.SetExtension(name, origin.Get(name))
		}
	}
	msg, err := binding.ToMsg(subject, e)
	if err != nil {
		return nil, err
	}
	tracing.Propagator.Inject(ctx, delivery.Header(msg.Header))
	msg.Header[jetstream.MsgIDHeader] = []string{d.messageID()}
	return msg, nil
}

// messageID is the id by which the stream recognises the command when it is sent again. It differs for what is not the same:
// commands of other sources, and a dry run and the command. No encoded id has a percent sign without two hex digits.
func (d *Draft) messageID() string {
	id := percent.Encode(d.ID) + "%source." + identity.SourceDigest(d.Source)
	if d.DryRun {
		return id + "%dryrun"
	}
	return id
}

// sourceOnWire is a source as its receiver reads it.
func sourceOnWire(source string) string {
	u, err := url.Parse(source)
	if err != nil {
		return source
	}
	return u.String()
}
