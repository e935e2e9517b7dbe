package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// heartbeat is how often the broker says that it still knows of our request. After two that did not come we ask again:
	// a consumer that is deleted while we are not asking tells nobody.
	heartbeat = 5 * time.Second
	// pullExpiry is how long the broker keeps a request.
	pullExpiry = 30 * time.Second
)

var errNoHeartbeat = errors.New("the broker no longer knows of our request")

// pull waits for one message. It returns nil without an error if none came and asking again is right.
//
// Each request has an inbox of its own, and the broker is told that it is closed before the message is worked on. Over a
// reconnect the broker may still have a request, and with a lasting inbox it would bring the next command while this one
// is worked on, or while the worker is not ready, and its AckWait would run in our buffer. The client's own iterators leave
// the closing to a goroutine, which may come after our acknowledgement; hence the protocol is spoken here.
func (b *Bus) pull(ctx context.Context, c jetstream.Consumer) (*nats.Msg, error) {
	if err := b.waitUp(ctx); err != nil {
		return nil, err
	}
	b.mu.Lock()
	down := b.down
	b.mu.Unlock()
	info := c.CachedInfo()
	request, err := json.Marshal(struct {
		Batch     int           `json:"batch"`
		Expires   time.Duration `json:"expires"`
		Heartbeat time.Duration `json:"idle_heartbeat"`
	}{1, pullExpiry, b.heartbeat})
	if err != nil {
		return nil, fmt.Errorf("pull: %w", err)
	}
	inbox, got := b.nc.NewInbox(), make(chan *nats.Msg, 8)
	sub, err := b.nc.ChanSubscribe(inbox, got)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // an error says that it is gone already
	if err := b.nc.PublishRequest(b.cfg.api("CONSUMER.MSG.NEXT."+info.Stream+"."+info.Name), inbox, request); err != nil {
		return nil, err
	}
	silence := time.NewTimer(2 * b.heartbeat)
	defer silence.Stop()
	for {
		select {
		case msg := <-got:
			switch status := msg.Header.Get("Status"); {
			case isCommand(msg):
				return msg, nil
			case status == "100":
				silence.Reset(2 * b.heartbeat)
			case status == "404", status == "408":
				return nil, nil //nolint:nilnil // there was nothing, and that is no error
			default:
				return nil, fmt.Errorf("%s %s", status, msg.Header.Get("Description"))
			}
		case <-silence.C:
			return nil, errNoHeartbeat
		case <-down: // a new connection needs a new request
			return last(got), nil
		case <-ctx.Done():
			if sub.Drain() == nil {
				_ = b.nc.FlushTimeout(attemptTimeout) // if the connection is away, the broker delivers it again
			}
			return last(got), nil
		}
	}
}

// isCommand tells a command from a status message of the broker's, which asks for no answer.
func isCommand(msg *nats.Msg) bool { return msg.Reply != "" }

// last returns the command that has reached us all the same, if one has: it need not wait for AckWait.
func last(got <-chan *nats.Msg) *nats.Msg {
	for {
		select {
		case msg := <-got:
			if isCommand(msg) {
				return msg
			}
		default:
			return nil
		}
	}
}
