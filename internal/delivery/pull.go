package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// Heartbeat is how often the broker confirms that it still has the pull request. After two missing heartbeats the
	// request is sent again: if a consumer is deleted between requests, nobody is notified.
	Heartbeat = 5 * time.Second
	// expiry is how long the broker keeps a request.
	expiry = 30 * time.Second
)

// ErrNoHeartbeat means that the broker no longer has the pull request.
var ErrNoHeartbeat = errors.New("the broker no longer has the pull request")

// Puller pulls the messages of one consumer, each by a request of its own.
type Puller struct {
	Conn *nats.Conn
	Line Line
	// API is the prefix of JetStream's API, such as $JS.API.
	API              string
	Stream, Consumer string
	// Heartbeat is [Heartbeat], or another interval in tests.
	Heartbeat time.Duration
}

// Next waits for one message. It returns nil without an error if none came and asking again is right. When ctx ends it
// returns a message that has arrived all the same, so that the message need not wait for AckWait.
//
// Each request has its own inbox, which is closed before the message is worked on. After a reconnect the broker may still
// have an earlier request. With a lasting inbox it would deliver the next message while this one is worked on, and the
// AckWait of that message would run in our buffer. The client library's iterators close their inbox in a goroutine, which
// may come after our acknowledgement; so the protocol is spoken here.
func (p Puller) Next(ctx context.Context) (*nats.Msg, error) {
	if err := p.Line.AwaitUp(ctx); err != nil {
		return nil, err
	}
	down := p.Conn.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	defer p.Conn.RemoveStatusListener(down)
	request, err := json.Marshal(struct {
		Batch     int           `json:"batch"`
		Expires   time.Duration `json:"expires"`
		Heartbeat time.Duration `json:"idle_heartbeat"`
	}{1, expiry, p.Heartbeat})
	if err != nil {
		return nil, fmt.Errorf("pull: %w", err)
	}
	inbox, got := p.Conn.NewInbox(), make(chan *nats.Msg, 8)
	sub, err := p.Conn.ChanSubscribe(inbox, got)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // an error means that it has already ended
	if err := p.Conn.PublishRequest(p.API+".CONSUMER.MSG.NEXT."+p.Stream+"."+p.Consumer, inbox, request); err != nil {
		return nil, err
	}
	silence := time.NewTimer(2 * p.Heartbeat)
	defer silence.Stop()
	for {
		select {
		case msg := <-got:
			switch status := msg.Header.Get("Status"); {
			case isDelivery(msg):
				return msg, nil
			case status == "100":
				silence.Reset(2 * p.Heartbeat)
			case status == "404", status == "408":
				return nil, nil //nolint:nilnil // there was nothing, and that is no error
			case status == "503":
				return nil, nats.ErrNoResponders
			default:
				return nil, fmt.Errorf("%s %s", status, msg.Header.Get("Description"))
			}
		case <-silence.C:
			return nil, ErrNoHeartbeat
		case <-down: // a new connection needs a new request
			return last(got), nil
		case <-ctx.Done():
			if sub.Drain() == nil {
				_ = p.Conn.FlushTimeout(AttemptTimeout) // if the connection is away, the broker delivers it again
			}
			return last(got), nil
		}
	}
}

// isDelivery distinguishes a delivery from a status message of the broker, which has no reply subject.
func isDelivery(msg *nats.Msg) bool { return msg.Reply != "" }

// last returns the message that has arrived, if any.
func last(got <-chan *nats.Msg) *nats.Msg {
	for {
		select {
		case msg := <-got:
			if isDelivery(msg) {
				return msg
			}
		default:
			return nil
		}
	}
}
