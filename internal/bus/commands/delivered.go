package commands

import (
	"context"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// delivered is a command that is handled.
type delivered struct {
	item        *item
	msg         *nats.Msg
	position    string // of the command in its stream
	stored      time.Time
	redelivered uint64 // how often it was handled before
	behind      int    // how many other commands there are
	cmd         events.Command
	readable    bool
}

func (q *cloudQueue) delivered(it *item, msg *nats.Msg) delivered {
	return delivered{
		item: it, msg: msg, position: q.stream + ":" + strconv.FormatUint(it.Seq, 10), stored: it.stored, redelivered: it.tries - 1,
		behind: q.index.size() - 1,
	}
}

func (d delivered) first() bool { return d.redelivered == 0 }

// letter is the dead letter about a command.
func (d delivered) letter(ctx context.Context, letter deadletter.Letter) deadletter.PendingPublish {
	return deadletter.Of(ctx, d.msg, deadletter.Delivery{Position: d.position, Stored: d.stored, Deliveries: d.redelivered + 1}, letter)
}
