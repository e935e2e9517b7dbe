package bus

import (
	"context"
)

// Streams checks the streams and buckets. It stands on the connection, which therefore is given it.
type Streams interface {
	// Check checks the streams once, and says whether all is well.
	Check(ctx context.Context) (well bool)
}

// WithStreams has a connection check its streams.
func WithStreams(on func(*Conn) Streams) Option {
	return func(b *Conn) { b.newStreams = on }
}
