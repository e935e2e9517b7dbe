package bus

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// ErrRefused says that the broker does not take a message as it is, however often it is sent, and that its size is not the
// reason.
var ErrRefused = errors.New("the broker refuses the message for good")

// ErrRefusing says that the broker answers, and that for a while it has refused all that was sent to a destination. It may
// take it one day. Until then nobody is to wait for it who holds up others.
var ErrRefusing = errors.New("refused again and again")

// refusingAfter is how long a destination has to refuse everything until that is ErrRefusing. A change of leader, a stream
// that is created again and a move to other servers are over by then.
const refusingAfter = time.Minute

// ErrNotKept says that the object store does not take the original of a dead letter, so that only a part of it could be kept.
var ErrNotKept = errors.New("the original is not kept")

// Permanent says whether an error is the message's own fault, so that only another form of it may be taken.
func Permanent(err error) bool {
	return errors.Is(err, events.ErrTooLarge) || errors.Is(err, ErrRefused) || natserr.Of(err) == natserr.Permanent
}

// refusedFor is the error of a message that the broker does not take for good.
func refusedFor(msg *nats.Msg, err error, most int64) error {
	switch {
	case errors.Is(err, natserr.ErrHeader):
		return fmt.Errorf("publish to %s: %w: %w", msg.Subject, events.ErrTooLarge, err)
	case natserr.TooLarge(err):
		return fmt.Errorf("publish to %s: %w: %d bytes of data and %d of headers, the server takes %d in all: %w",
			msg.Subject, events.ErrTooLarge, len(msg.Data), natserr.HeaderSize(msg.Header), most, err)
	}
	return fmt.Errorf("publish to %s: %w: %w", msg.Subject, ErrRefused, err)
}

// ErrTaken says that another bridge works on the command by now, so that its record is not ours to write.
var ErrTaken = errors.New("another bridge has taken the command over")

// isDisconnect says whether something failed only since the connection was away.
func isDisconnect(err error) bool { return natserr.Disconnected(err) }

// isNoRoom says whether the broker has less room left, for all or for this account, than a stream wants to reserve.
func isNoRoom(err error) bool { return natserr.Of(err) == natserr.NoRoom }
