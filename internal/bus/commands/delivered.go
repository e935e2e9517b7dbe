package commands

import (
	"context"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/commands/index"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// delivered is a command that is handled.
type delivered struct {
	item        *index.Item
	msg         *nats.Msg
	position    string // of the command in its stream
	stored      time.Time
	redelivered uint64 // how often it was handled before
	behind      int    // how many other commands there are
	cmd         events.Command
	readable    bool
}

func (q *cloudQueue) delivered(it *index.Item, msg *nats.Msg) delivered {
	return delivered{
		item: it, msg: msg, position: q.position(it.Seq), stored: it.Stored, redelivered: it.Tries - 1,
		behind: q.index.Size() - 1,
	}
}

// position is the place of a command, as events name it.
func (q *cloudQueue) position(seq uint64) string { return q.stream + ":" + strconv.FormatUint(seq, 10) }

func (d delivered) first() bool { return d.redelivered == 0 }

// letter is the dead letter about a command.
func (d delivered) letter(ctx context.Context, letter deadletter.Letter) deadletter.PendingPublish {
	return deadletter.Of(ctx, d.msg, deadletter.Delivery{Position: d.position, Stored: d.stored, Deliveries: d.redelivered + 1}, letter)
}
