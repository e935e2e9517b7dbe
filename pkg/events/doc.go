// Package events is the public contract of the bridge between factro and NATS, in Go.
//
// It subscribes to what happens at factro, sends commands to factro, asks factro, and holds what these are made of: the
// names (subjects, streams, types, attributes), results and errors, and the codec between CloudEvents and NATS messages. The
// data of commands and queries is in [github.com/factro-bridge/factro-bridge/pkg/events/payload]. It needs a connection to NATS with JetStream, and a bridge at the other end.
//
// # Subscribing
//
// [Subscribe] calls a function with each event, in order, at least once, until its context ends. The function's error is
// the verdict; [Retry] and [Reject] are the ones beside nil.
//
//	p := events.Prefix(events.DefaultPrefix)
//	filter := p.EventFilter("acme", "task", events.Any, "TaskStateChanged")
//	err := events.Subscribe(ctx, js, filter, func(ctx context.Context, e events.Event) error {
//		return bill(ctx, e.EntityID)
//	}, events.Durable("billing"))
//
// What factro sent is what comes: an event's data is the delivered body, byte for byte. Only two of its keys are proven,
// action and context.entityId; anything else may be there or not. Events say that something has changed and not what it
// is now: ask for it.
//
// # Commands
//
// [Client.Do] sends a command and waits for its result. Each operation on tasks, projects, packages, work records,
// companies, contacts and appointments has a struct in the package payload, whose Answer method decodes what factro answered; payload.Generic is for
// all others.
//
//	client := events.NewClient(js, "acme", events.WithDefaults(events.WithSource("urn:example:billing")))
//	create := payload.CreateTask{Title: "Prüfung", TargetParentID: packageID, EndDate: payload.Set(payload.Day(2026, 9, 1))}
//	result, err := client.Do(ctx, create)
//	if err != nil {
//		return err
//	}
//	task, err := create.Answer(result)
//
// A property that may be left out is a payload.Optional: absent, null or set. In a change, absent leaves the value at factro
// as it is, and null clears it.
//
// A command's id is its idempotency key. A create is never made twice under one id, and a sender that lost the answer does the same
// again with [WithID]. For how long: the streams recognise an id for ten minutes, unless their operator has chosen otherwise,
// and the bridge remembers creates for seven days.
//
// # Queries
//
// [Ask] reads from factro, by the bridge's own budget of requests and behind its breaker. Each query has a struct, and an
// answer with a type.
//
//	task, err := events.Ask(ctx, client, payload.GetTask{TaskID: id})
//
// The Core API has no pages, so a list is whole. [Client.Query] streams it, and returns any answer byte for byte.
//
// # Errors
//
// What the bridge or factro refused is an [*Error], with one of the Code constants. A command without a final result is a
// [*PendingError]: it is or may be in the stream. Everything else is a mistake in the input or an error of the connection
// that says that nothing was sent.
//
// # Traces
//
// Do, Query and the handlers of Subscribe take part in OpenTelemetry traces: they use the program's global tracer provider
// and pass the W3C trace context on in the messages, whatever the program's own propagator is. Without an SDK no trace is
// made up, and one that is in the context already is passed on.
//
// # Messages
//
// A program that wants the messages themselves uses [ToMsg] and [FromMsg]. Events are
// [github.com/cloudevents/sdk-go/v2/event.Event]; the codec is this package's own, true to the NATS protocol binding of
// CloudEvents 1.0.
package events
