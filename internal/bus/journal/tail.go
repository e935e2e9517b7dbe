package journal

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Tail hands over the messages of a stream that match one of the filters, the new ones or those since a time, until ctx ends.
func Tail(ctx context.Context, js jetstream.JetStream, stream string, filters []string, since time.Time, each func(Message)) error {
	from := Next()
	if !since.IsZero() {
		from = Since(since)
	}
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
