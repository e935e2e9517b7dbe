package publish

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// ErrRefused says that the broker does not take a message as it is, however often it is sent, and that its size is not the
// reason.
var ErrRefused = errors.New("the broker refuses the message for good")

// ErrRefusing says that the broker answers, and that for a while it has refused all that was sent to a destination.
var ErrRefusing = health.ErrRefusing

// Permanent says whether an error is the message's own fault, so that only another form of it may be taken.
func Permanent(err error) bool {
	return errors.Is(err, events.ErrTooLarge) || errors.Is(err, ErrRefused) || natserr.Of(err) == natserr.Permanent
}

// Refused is the error of a message that the broker does not take for good.
func Refused(msg *nats.Msg, err error, most int64) error {
	switch {
	case errors.Is(err, natserr.ErrHeader):
		return fmt.Errorf("publish to %s: %w: %w", msg.Subject, events.ErrTooLarge, err)
	case natserr.TooLarge(err):
		return fmt.Errorf("publish to %s: %w: %d bytes of data and %d of headers, the server takes %d in all: %w",
			msg.Subject, events.ErrTooLarge, len(msg.Data), natserr.HeaderSize(msg.Header), most, err)
	}
	return fmt.Errorf("publish to %s: %w: %w", msg.Subject, ErrRefused, err)
}
