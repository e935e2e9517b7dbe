package commands

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/index"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
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

// informer informs the senders of commands that wait.
type informer struct{ *cloudQueue }

// run informs the senders of commands that wait in the index, until ctx ends.
func (q informer) run(ctx context.Context) {
	w, ok := q.worker.(Deferrer)
	if !ok {
		return
	}
	for delivery.Pause(ctx, time.Second) {
		for _, n := range q.index.Unreported(w.Forecast) {
			if !delivery.Pause(ctx, time.Second/index.PerSecond) {
				return
			}
			if err := q.report(ctx, w, n); err != nil && ctx.Err() == nil {
				q.log.WarnContext(ctx, "the sender of a waiting command could not be informed", "cloud", q.cloud, "sequence", n.Item.Seq, "error", err)
				break // the others in a second
			}
		}
	}
}

func (q informer) report(ctx context.Context, w Deferrer, n index.News) error {
	m, err := q.read(ctx, n.Item.Seq, "")
	if natserr.NoMessage(err) || errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // it is done, or somebody took it out of the stream
	}
	if err != nil {
		return err
	}
	cmd, mistake := q.conn.Settings().Prefix.DecodeCommand(m.Subject, m.Header, m.Data, q.position(n.Item.Seq))
	return w.Defer(ctx, cmd, mistake, n.Wait)
}
