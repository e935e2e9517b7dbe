package inform

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/index"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/lane"
	"github.com/factro-bridge/factro-bridge/internal/bus/commands/slots"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// Queue is what is needed of a cloud's commands.
type Queue struct {
	Index *index.Index
	// Read reads the command at a place of the stream or, with the subject ">", the first one from there on.
	Read func(ctx context.Context, seq uint64, subject string) (*jetstream.RawStreamMsg, error)
	// Entry is the place of a command in the schedule.
	Entry func(msg *nats.Msg, seq uint64) lane.Entry
	// Load is what the commands that are carried out tell.
	Load func() slots.Load
	// Forecast is how long the calls of so many commands take.
	Forecast func(n int) time.Duration
	// Tell tells the sender of a command.
	Tell func(ctx context.Context, m *jetstream.RawStreamMsg, wait index.Wait) error
}

// Informer tells the senders of a cloud's commands.
type Informer struct {
	queue Queue
	log   *slog.Logger
	tail  tail
}

// New returns an informer that does nothing until Run.
func New(q Queue, log *slog.Logger) *Informer {
	return &Informer{queue: q, log: log, tail: tail{queue: q}}
}

// Heard is what the sender of a command has heard while the index did not have it.
func (i *Informer) Heard(seq uint64) index.Notice {
	if i == nil {
		return index.Notice{}
	}
	return i.tail.heard(seq)
}

// Run tells the senders of commands that wait, until ctx ends. Without an informer they hear nothing.
func (i *Informer) Run(ctx context.Context) {
	if i == nil {
		return
	}
	for delivery.Pause(ctx, time.Second) {
		informed, err := i.queue.indexed(ctx)
		if err == nil {
			err = i.tail.walk(ctx, index.PerSecond-informed)
		}
		if err != nil && ctx.Err() == nil {
			i.log.WarnContext(ctx, "the sender of a waiting command could not be informed", "error", err)
		}
	}
}

// indexed tells those whose commands are in the index.
func (q Queue) indexed(ctx context.Context) (informed int, err error) {
	for _, n := range q.Index.Unreported(q.Forecast, q.Load()) {
		if !slow(ctx) {
			return informed, nil
		}
		m, err := q.Read(ctx, n.Item.Seq, "")
		if isGone(err) {
			continue // it is done, or somebody took it out of the stream
		}
		if err == nil {
			err = q.Tell(ctx, m, n.Wait)
		}
		if err != nil {
			return informed, fmt.Errorf("command %d: %w", n.Item.Seq, err)
		}
		informed++
	}
	return informed, nil
}

// slow keeps to so many a second.
func slow(ctx context.Context) bool { return delivery.Pause(ctx, time.Second/index.PerSecond) }

func isGone(err error) bool {
	return natserr.NoMessage(err) || errors.Is(err, jetstream.ErrMsgNotFound)
}
