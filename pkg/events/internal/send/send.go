// Package send stores the message of a command in its stream, over a connection that may be away meanwhile.
//
// In: a message and the stream that is to take it. Out: the stream's acknowledgement, or an error that says whether the
// message may be in the stream all the same. It never waits for a result.
package send

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// ErrTooLarge says that no message can hold what is to be sent.
var ErrTooLarge = errors.New("too large for a message")

// UnsureError says that the message may be in the stream or not.
type UnsureError struct{ Err error }

func (e *UnsureError) Error() string {
	return "the message may be in the stream or not: " + e.Err.Error()
}
func (e *UnsureError) Unwrap() error { return e.Err }

const (
	// attempts bounds how often a message is sent that nobody acknowledges. It is the same message id each time, so the stream
	// keeps one.
	attempts = 3
	// pauseBetween is the time between two attempts, so that a lost connection is noticed.
	pauseBetween = 50 * time.Millisecond
)

// Publish stores a message in its stream and waits for a lost connection meanwhile. The stream may have its former name yet. An
// error that is no [UnsureError] says that the message is not in the stream.
func Publish(ctx context.Context, js jetstream.JetStream, msg *nats.Msg, stream, former string) (*jetstream.PubAck, error) {
	ack, err := publish(ctx, js, msg, stream, former)
	if _, unsure := errors.AsType[*UnsureError](err); err != nil && !unsure {
		return nil, fmt.Errorf("send command: %w", err)
	}
	return ack, err
}

func publish(ctx context.Context, js jetstream.JetStream, msg *nats.Msg, stream, former string) (*jetstream.PubAck, error) {
	natserr.Expect(msg, stream)
	if err := natserr.CheckHeader(msg.Header); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	unsure := false // whether an attempt may have reached the stream without a word
	for attempt := 1; ; attempt++ {
		once, cancel := context.WithTimeout(ctx, delivery.AttemptTimeout)
		ack, err := natserr.Publish(once, js, msg, stream, former)
		cancel()
		_, refused := natserr.Refusal(err)
		refused = refused || errors.Is(err, natserr.ErrOtherStream)
		away := natserr.Disconnected(err) || !js.Conn().IsConnected()
		timeout := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
		unsure = unsure || timeout || errors.Is(err, nats.ErrDisconnected)
		switch {
		case err == nil:
			return ack, nil
		case natserr.TooLarge(err):
			return nil, fmt.Errorf("%w: %d bytes of data: %w", ErrTooLarge, len(msg.Data), err)
		case natserr.Of(err) == natserr.Permanent:
			return nil, err // each attempt meets the same, so none has stored it
		case ctx.Err() != nil:
			return nil, &UnsureError{ctx.Err()}
		case refused && natserr.Answered(err) || errors.Is(err, nats.ErrConnectionClosed) || attempt >= attempts && !away:
			if unsure {
				return nil, &UnsureError{err}
			}
			if errors.Is(err, jetstream.ErrNoStreamResponse) {
				return nil, fmt.Errorf("no stream takes %s: is the cloud's name right, and has its bridge run once? %w", msg.Subject, err)
			}
			if help := natserr.Help(err); help != "" {
				return nil, fmt.Errorf("%w (%s)", err, help)
			}
			return nil, err
		case away:
			attempt-- // it did not fail, there is only nobody there
		}
		if !delivery.Pause(ctx, pauseBetween) {
			return nil, &UnsureError{ctx.Err()}
		}
	}
}
