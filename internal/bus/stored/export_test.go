package stored

import (
	"context"

	"github.com/nats-io/nats.go"
)

// CatchUp reads on from the leader of a stream, after a message.
func CatchUp(ctx context.Context, conn Conn, stream, subject string, after uint64, each func(*nats.Msg)) (last uint64, err error) {
	s := scanner{conn, stream, subject, after, each}
	err = s.catchUp(ctx)
	return s.last, err
}
