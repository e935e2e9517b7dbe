package spool

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// headerRoom is what the spool and the trace add to the headers of a message.
const headerRoom = 4 << 10

// originSpool is the attribute factroorigin of an event that waited in the spool.
const originSpool = "spool"

// eventMessage is the message of an event that waits in the spool.
func eventMessage(ctx context.Context, subject string, e event.Event) (*nats.Msg, error) {
	msg, err := events.ToMsg(subject, e)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	msg.Header["ce-"+attr.Origin] = []string{originSpool}
	if natserr.HeaderSize(msg.Header) > natserr.MaxHeader-headerRoom {
		return nil, fmt.Errorf("spool: %w: %w", events.ErrTooLarge, natserr.ErrHeader)
	}
	hop := delivery.Header{}
	measure.Propagator.Inject(ctx, hop)
	if origin := "ce-" + attr.TraceParent; msg.Header[origin] == nil && hop.Get(attr.TraceParent) != "" {
		msg.Header[origin] = hop[attr.TraceParent]
	}
	return msg, nil
}

// write writes a message to the disk, and counts it as waiting and in an account. sure says of an error that nothing was written.
func (s *Spool) write(ctx context.Context, q *cloudQueue, msg *nats.Msg, count *atomic.Int64) (sure bool, err error) {
	if err := s.disk.Enter(ctx); err != nil {
		return true, fmt.Errorf("spool: %w", err)
	}
	defer s.disk.Leave()
	q.add(1)
	sure, err = s.disk.Write(ctx, msg)
	switch {
	case err == nil:
		count.Add(1)
	case sure:
		q.add(-1)
	default:
		s.account.unsure.Add(1)
	}
	return sure, err
}
