package egress

import "context"

// working is the one context of a command. It ends when the bridge is told to stop, and has the values of the delivery.
// What must finish once it is begun (a call, a record, a result) runs in finishing(ctx), which ends a bounded while later.
type working struct {
	context.Context                 // ends when the bridge is told to stop
	delivery        context.Context //nolint:containedctx // its values are handed on, and it is what finishing returns
}

type finishingKey struct{}

// Value is one of the delivery: its trace, above all.
func (w working) Value(key any) any {
	if key == (finishingKey{}) {
		return w.delivery
	}
	return w.delivery.Value(key)
}

// finishing is the context in which something begun is finished. It ends with the grace that the bus gives a delivery.
func finishing(ctx context.Context) context.Context {
	if delivery, ok := ctx.Value(finishingKey{}).(context.Context); ok {
		return delivery
	}
	return ctx
}
