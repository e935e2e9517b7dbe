package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrInterrupted means that the connection was lost during a request to pull: what was on its way is lost too.
var ErrInterrupted = errors.New("the connection was lost while messages were pulled")

// Pull asks for several messages and passes on each, until they came, the request has expired or ctx ends. bytes bounds how much
// the broker sends for it, 0 for no bound; one message that is larger is asked for alone.
//
// Unlike Next it is for a reader that takes each message at once into its own keeping. When the connection is lost, messages may
// have been lost with it; the error is then ErrInterrupted.
func (p Puller) Pull(ctx context.Context, messages, bytes int, each func(*nats.Msg) error) error {
	err := p.pull(ctx, messages, bytes, each)
	if errors.Is(err, errTooLarge) {
		err = p.pull(ctx, 1, 0, each)
	}
	return err
}

var errTooLarge = errors.New("the next message is larger than the request allows")

func (p Puller) pull(ctx context.Context, messages, bytes int, each func(*nats.Msg) error) error {
	if err := p.Line.AwaitUp(ctx); err != nil {
		return err
	}
	down := p.Conn.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	defer p.Conn.RemoveStatusListener(down)
	request, err := json.Marshal(struct {
		Batch     int           `json:"batch"`
		Bytes     int           `json:"max_bytes,omitempty"`
		Expires   time.Duration `json:"expires"`
		Heartbeat time.Duration `json:"idle_heartbeat"`
	}{messages, bytes, expiry, p.Heartbeat})
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	inbox, got := p.Conn.NewInbox(), make(chan *nats.Msg, messages+16) // a full channel would lose messages
	sub, err := p.Conn.ChanSubscribe(inbox, got)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }() // an error means that it has already ended
	if err := p.Conn.PublishRequest(p.API+".CONSUMER.MSG.NEXT."+p.Stream+"."+p.Consumer, inbox, request); err != nil {
		return err
	}
	silence := time.NewTimer(2 * p.Heartbeat)
	defer silence.Stop()
	for came := 0; came < messages; {
		select {
		case msg := <-got:
			silence.Reset(2 * p.Heartbeat)
			switch status, text := msg.Header.Get("Status"), msg.Header.Get("Description"); {
			case isDelivery(msg):
				came++
				if err := each(msg); err != nil {
					return err
				}
			case status == "100":
			case status == "404", status == "408":
				return nil
			case status == "409" && strings.Contains(text, "Exceeds MaxBytes"):
				if came == 0 {
					return errTooLarge
				}
				return nil
			case status == "409" && strings.Contains(text, "Batch Completed"):
				return nil
			case status == "503":
				return nats.ErrNoResponders
			default:
				return fmt.Errorf("%s %s", status, text)
			}
		case <-silence.C:
			return ErrNoHeartbeat
		case <-down:
			return ErrInterrupted
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
