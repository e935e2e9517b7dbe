package persist

import "context"

// commandContext is the context of a command. It ends when the bridge starts to stop, and has the values of the delivery. Work that
// must finish once it has begun (a call, a record, a result) runs in Finishing(ctx), which ends a limited time later.
type commandContext struct {
	context.Context                 //nolint:containedctx // this type is a context itself; this one ends when the bridge starts to stop
	delivery        context.Context //nolint:containedctx // the source of the values, and the context that Finishing returns
}

// Context returns the context of a command, of those of its delivery and of the bridge.
func Context(stopping, delivery context.Context) context.Context {
	return commandContext{stopping, delivery}
}

type finishingKey struct{}

// Value returns a value of the delivery, such as its trace.
func (w commandContext) Value(key any) any {
	if key == (finishingKey{}) {
		return w.delivery
	}
	return w.delivery.Value(key)
}

// Finishing returns the context for work that must finish once it has begun. It ends with the grace period that the bus gives a
// delivery.
func Finishing(ctx context.Context) context.Context {
	if delivery, ok := ctx.Value(finishingKey{}).(context.Context); ok {
		return delivery
	}
	return ctx
}
