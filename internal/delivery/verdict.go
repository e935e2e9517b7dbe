package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// Verdict is the answer to the broker about a delivery, in JetStream's form.
type Verdict string

// Ack means that the message is done.
const Ack Verdict = "+ACK"

// negative begins a verdict that requests another delivery.
const negative = "-NAK"

// Term means that the message must not be redelivered. The reason is part of the broker's advisory.
func Term(reason string) Verdict { return Verdict("+TERM " + reason) }

// Nak requests another delivery after d, or at once if d is 0.
func Nak(d time.Duration) Verdict {
	if d <= 0 {
		return negative
	}
	return Verdict(fmt.Sprintf(negative+` {"delay": %d}`, d.Nanoseconds()))
}

// Final says whether the message does not come again after this verdict.
func (v Verdict) Final() bool { return !strings.HasPrefix(string(v), negative) }

// Confirm sends a verdict to the reply subject of a message and waits for the broker's answer. The client library can
// confirm an Ack only, but the broker answers every verdict. While the connection is away Confirm waits as long as ctx
// allows.
//
// An Ack or a Term that gets no answer is sent again: the message is done, and a repeated verdict changes nothing. A Nak
// that may have arrived is never sent again. A second one could hit the next delivery of the message, which another worker
// may hold by then. If the broker never got the Nak, the message comes again after AckWait.
func Confirm(ctx context.Context, line Line, nc *nats.Conn, reply string, v Verdict) error {
	once := !v.Final()
	began := time.Now()
	for n := 1; ; n++ {
		if err := line.AwaitUp(ctx); err != nil {
			return err
		}
		if once && !nc.IsConnected() { // it could stay in the connection's buffer and arrive late
			if !Pause(ctx, pauseBetween) {
				return nats.ErrConnectionReconnecting
			}
			continue
		}
		attempt, cancel := context.WithTimeout(ctx, AttemptTimeout)
		_, err := nc.RequestWithContext(attempt, reply, []byte(v))
		cancel()
		unknown := errors.Is(err, nats.ErrNoResponders) // the broker does not know the consumer: nothing has arrived
		unsent := errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrConnectionReconnecting)
		switch {
		case err == nil, errors.Is(err, nats.ErrConnectionClosed):
			return err
		case unknown:
			if time.Since(began) > LostAfter {
				return err
			}
		case unsent:
		case once:
			return err
		case natserr.Disconnected(err):
			n-- // an attempt that never reached the broker
		case n >= attempts || !errors.Is(err, context.DeadlineExceeded):
			return err
		}
		if !Pause(ctx, pauseBetween) {
			return err
		}
	}
}
