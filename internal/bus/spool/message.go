package spool

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool/disk"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Headers of a spooled message, beside those that it goes to the broker with.
const (
	headerSpool        = "Factro-Spool-"
	headerSpoolSubject = headerSpool + "Subject" // where it goes
	headerSpoolID      = headerSpool + "Id"      // its message id
	headerSpoolTried   = headerSpool + "Tried"   // set if the broker may have it already

	// headerRoom is what the spool and the trace add to the headers of a message.
	headerRoom = 4 << 10
)

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

// pack makes a message for the broker one for the disk.
func pack(msg *nats.Msg, cloud, id string, tried bool) *nats.Msg {
	packed := &nats.Msg{Subject: disk.Subject(cloud), Data: msg.Data, Header: maps.Clone(msg.Header)}
	packed.Header[headerSpoolSubject], packed.Header[headerSpoolID] = []string{msg.Subject}, []string{percent.Encode(id)}
	if tried {
		packed.Header[headerSpoolTried] = []string{"1"}
	}
	return packed
}

// unpack makes a message from the disk what it was to be for the broker. old is the last sequence that was there when the disk
// was opened.
func unpack(raw *jetstream.RawStreamMsg, old uint64) *spooled {
	msg := &nats.Msg{Data: raw.Data, Header: nats.Header{}}
	for name, values := range raw.Header {
		if !strings.HasPrefix(name, headerSpool) && !delivery.IsBrokerHeader(name) {
			msg.Header[name] = values
		}
	}
	own := delivery.Header(raw.Header)
	msg.Subject = own.Get(headerSpoolSubject)
	out := &spooled{
		seq: raw.Sequence, at: raw.Time, msg: msg, id: decoded(own.Get(headerSpoolID)),
		suspect: raw.Sequence <= old || own.Get(headerSpoolTried) != "",
	}
	// The subject is all that the disk has of the destination. This is the one place where it is read.
	prefix, _, _ := strings.Cut(msg.Subject, ".") // perhaps not the configured one: somebody may have changed that
	if to, err := events.Prefix(prefix).ParseEvent(msg.Subject); err == nil {
		out.event, out.entity = true, entityOf(to, decoded(delivery.Header(msg.Header).Get("ce-subject")))
	}
	return out
}

// decoded is the value of a header. We wrote it; should it be damaged, it is still the same each time.
func decoded(text string) string {
	if value, err := events.DecodeHeader(text); err == nil {
		return value
	}
	return text
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
