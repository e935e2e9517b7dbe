package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

const (
	// publishAttempts bounds how often a command is sent that nobody acknowledges. It is the same message id each time, so
	// the stream keeps one.
	publishAttempts = 3
	// attemptTimeout is how long an attempt waits for the acknowledgement. During a change of leader the one in flight is
	// never answered; the next one is.
	attemptTimeout = 2 * time.Second
)

// publish stores a message in its stream and waits for a lost connection meanwhile.
func (c *Client) publish(ctx context.Context, msg *nats.Msg) (*jetstream.PubAck, error) {
	// Commands of all clouds were in one stream once. Its bridge takes them over.
	stream, former := c.prefix.CommandStream(c.cloud), strings.ToUpper(string(c.prefix))+"_COMMANDS"
	natserr.Expect(msg, stream)
	if err := natserr.CheckHeader(msg.Header); err != nil {
		return nil, fmt.Errorf("send command: %w: %w", ErrTooLarge, err)
	}
	unsure := false // whether an attempt may have reached the stream without a word
	for attempt := 1; ; attempt++ {
		once, cancel := context.WithTimeout(ctx, attemptTimeout)
		ack, err := natserr.Publish(once, c.js, msg, stream, former)
		cancel()
		_, refused := natserr.Refusal(err)
		refused = refused || errors.Is(err, natserr.ErrOtherStream)
		away := isDisconnect(err) || !c.js.Conn().IsConnected()
		timeout := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
		unsure = unsure || timeout || errors.Is(err, nats.ErrDisconnected)
		switch {
		case err == nil:
			return ack, nil
		case natserr.TooLarge(err):
			return nil, fmt.Errorf("send command: %w: %d bytes of data: %w", ErrTooLarge, len(msg.Data), err)
		case natserr.Of(err) == natserr.Permanent:
			return nil, fmt.Errorf("send command: %w", err) // each attempt meets the same, so none has stored it
		case ctx.Err() != nil:
			return nil, &PendingError{ID: commandID(msg), Unsure: true, Err: ctx.Err()}
		case refused && natserr.Answered(err) || errors.Is(err, nats.ErrConnectionClosed) || attempt >= publishAttempts && !away:
			if unsure {
				return nil, &PendingError{ID: commandID(msg), Unsure: true, Err: err}
			}
			if errors.Is(err, jetstream.ErrNoStreamResponse) {
				return nil, fmt.Errorf("send command: no stream takes %s: is the cloud's name right, and has its bridge run once? %w", msg.Subject, err)
			}
			if help := natserr.Help(err); help != "" {
				return nil, fmt.Errorf("send command: %w (%s)", err, help)
			}
			return nil, fmt.Errorf("send command: %w", err)
		case away:
			attempt-- // it did not fail, there is only nobody there
		}
		if !pause(ctx, 50*time.Millisecond) {
			return nil, &PendingError{ID: commandID(msg), Unsure: true, Err: ctx.Err()}
		}
	}
}

func commandID(msg *nats.Msg) string {
	id, _ := percent.Decode(delivery.Header(msg.Header).Get(binding.AttributePrefix + "id"))
	return id
}

// isDisconnect says whether something failed only since the connection was away.
func isDisconnect(err error) bool { return natserr.Disconnected(err) }

// pause waits, and returns false if ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
