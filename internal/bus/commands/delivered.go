package commands

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// delivered is one delivery of a command.
type delivered struct {
	msg         *nats.Msg
	position    string    // of the command in its stream, as far as that is known
	stored      time.Time // when the stream stored it; zero if that is not known
	redelivered uint64    // how often it was delivered before
	behind      uint64    // how many commands wait behind it
	cmd         events.Command
	readable    bool
}

func newDelivered(msg *nats.Msg) delivered {
	d := delivered{msg: msg, position: msg.Subject}
	if meta, err := msg.Metadata(); err == nil {
		d.position, d.stored = meta.Stream+":"+strconv.FormatUint(meta.Sequence.Stream, 10), meta.Timestamp
		d.redelivered, d.behind = meta.NumDelivered-1, meta.NumPending
	}
	return d
}

func (d delivered) first() bool { return d.redelivered == 0 && !d.stored.IsZero() }
