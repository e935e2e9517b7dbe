package journal

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
)

// Tail hands over the messages of a stream that match one of the filters, from a place on, until ctx ends.
func Tail(ctx context.Context, js jetstream.JetStream, stream string, filters []string, from From, each func(Message)) error {
	for m, err := range New(js).Read(ctx, stream, from, Endless(), filters...) {
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err == nil {
			each(m)
		}
	}
	return nil
}
