package commands

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/index"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/inform"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Wait is how long a command is likely to wait, and what for.
type Wait = index.Wait

// Deferrer is a Worker that informs the senders of commands that they have to wait.
type Deferrer interface {
	// Forecast is how long n commands take from now on, by what is in the way and by the number of calls that are allowed.
	Forecast(n int) time.Duration
	// Defer informs the sender of a command that it waits.
	Defer(ctx context.Context, cmd events.Command, mistake error, wait Wait) error
}

// informer informs the senders of commands that wait, if the worker can.
func (q *cloudQueue) informer() *inform.Informer {
	w, ok := q.worker.(Deferrer)
	if !ok {
		return nil
	}
	return inform.New(inform.Queue{
		Index: q.index, Read: q.read, Entry: q.entry, Load: q.slots.Load, Forecast: w.Forecast,
		Tell: func(ctx context.Context, m *jetstream.RawStreamMsg, wait Wait) error {
			cmd, mistake := q.conn.Settings().Prefix.DecodeCommand(m.Subject, m.Header, m.Data, q.position(m.Sequence))
			return w.Defer(ctx, cmd, mistake, wait)
		},
	}, q.log.With("cloud", q.cloud))
}
