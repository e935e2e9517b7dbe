package deadletter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// ErrNotRedrivable says that a dead letter cannot be sent again; the error around it says why.
var ErrNotRedrivable = errors.New("it cannot be sent again")

// Redrive is a command that can be sent again.
type Redrive struct {
	// Address, ID and Source are the command's. The id is a new one if its data is.
	events.Address
	ID, Source string
	// Subject is the one to send it on.
	Subject string
	msg     *nats.Msg
}

// NewRedrive makes the message to send again from a dead letter of a command. Unchanged it is the same command, with the same
// source and id: it goes to the subject events.Prefix.Redrive, and names the dead letter in events.HeaderRedrive. If data is
// not nil, it replaces the command's data: then it is a new command with an id of its own, on the subject of commands, which names
// the dead letter in topology.HeaderReplaces. The error is ErrNotRedrivable if the dead letter does not hold what is needed.
func NewRedrive(p events.Prefix, e Entry, data []byte, now time.Time) (Redrive, error) {
	if e.Lost() {
		return Redrive{}, fmt.Errorf("%w: its data is lost", ErrNotRedrivable)
	}
	if e.Partial || e.Size > 0 {
		return Redrive{}, fmt.Errorf("%w: only a part of it was kept, %d of %d bytes of its data and perhaps not all headers", ErrNotRedrivable, len(e.Data), e.Size)
	}
	address, err := p.ParseCommand(e.Original)
	if again, notAgain := p.ParseRedrive(e.Original); notAgain == nil { // it was given up once more
		address, err = again, nil
	}
	if err != nil { // others can write dead letters, and must not choose the subject that we publish to
		return Redrive{}, fmt.Errorf("%w: %w", ErrNotRedrivable, err)
	}
	cmd := e.command(p)
	if at, ok := cmd.Event.Extensions()[attr.ExpiryTime]; ok {
		if t, err := types.ToTime(at); err == nil && !now.Before(t) {
			return Redrive{}, fmt.Errorf("%w: its expirytime has passed, so it would be rejected; send a new command", ErrNotRedrivable)
		}
	}
	r := Redrive{Address: address, ID: e.ID, Source: cmd.Source(), Subject: p.Redrive(address.Cloud, address.Resource, address.Operation)}
	header := e.OriginalHeader()
	switch _, err := events.FromMsg(header, e.Data); {
	case data != nil:
		r.ID, r.Subject = changedID(e, data), p.Command(address.Cloud, address.Resource, address.Operation)
		r.msg, err = Repack(r.Subject, header, cmd.Event, r.ID, data)
		if err != nil {
			return Redrive{}, fmt.Errorf("%w: %w", ErrNotRedrivable, err)
		}
	case errors.Is(err, events.ErrPlain): // the id of a plain command is its message id or its position, and both are new now
		if r.msg, err = Repack(r.Subject, header, cmd.Event, e.ID, cmd.Event.Data()); err != nil {
			return Redrive{}, fmt.Errorf("%w: %w", ErrNotRedrivable, err)
		}
	default:
		r.msg = &nats.Msg{Subject: r.Subject, Header: header, Data: e.Data}
	}
	messageID := r.ID
	if digest := identity.SourceDigest(r.Source); digest != "" {
		messageID += "." + digest
	}
	delete(r.msg.Header, events.HeaderRedrive) // of an earlier redrive
	delete(r.msg.Header, topology.HeaderReplaces)
	names := topology.HeaderReplaces
	if data == nil {
		names, messageID = events.HeaderRedrive, "redrive-"+uuid.NewString()
	}
	r.msg.Header[names] = []string{strconv.FormatUint(e.Sequence, 10)}
	r.msg.Header[events.HeaderMessageID] = []string{percent.Encode(messageID)}
	dropForeign(r.msg.Header)
	return r, nil
}

// traceRoom is what sending again adds to the headers: the current trace.
const traceRoom = 1 << 10

// dropForeign drops headers that are not part of the command, the largest first, until the rest fits into a message. With
// the headers of a redrive, a message that just fitted is too large.
func dropForeign(h nats.Header) {
	size := func(name string) int { return natserr.HeaderSize(nats.Header{name: h[name]}) }
	names := slices.SortedFunc(maps.Keys(h), func(a, b string) int { return size(b) - size(a) })
	for _, name := range names {
		if natserr.HeaderSize(h) <= natserr.MaxHeader-traceRoom {
			return
		}
		lower := strings.ToLower(name)
		if !strings.HasPrefix(lower, "ce-") && !strings.HasPrefix(lower, "factro-") && lower != "content-type" && name != events.HeaderMessageID {
			delete(h, name)
		}
	}
}

// changedID is the id of the command that a dead letter becomes with other data. It is the same each time: to repeat this
// makes no second command, for example if the acknowledgement was lost or the dead letter could not be deleted.
func changedID(e Entry, data []byte) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s:%d:%d:%s", e.Subject, e.Sequence, e.Time.UnixNano(), data)).String()
}

// Repack makes a message of a command's event with another id and other data, and keeps the headers that are not attributes.
func Repack(subject string, header nats.Header, e event.Event, id string, data []byte) (*nats.Msg, error) {
	e = e.Clone()
	e.SetID(id)
	e.DataEncoded, e.DataBase64 = data, false
	msg, err := events.ToMsg(subject, e)
	if err != nil {
		return nil, err
	}
	rest := maps.Clone(header)
	maps.DeleteFunc(rest, func(name string, _ []string) bool {
		name = strings.ToLower(name)
		return strings.HasPrefix(name, "ce-") || name == "content-type"
	})
	maps.Copy(rest, msg.Header)
	msg.Header = rest
	return msg, nil
}

// Send sends the command again and returns its position in the queue.
func (r Redrive) Send(ctx context.Context, c Client, p events.Prefix) (position string, err error) {
	measure.Propagator.Inject(ctx, delivery.Header(r.msg.Header))
	ack, err := c.PublishAcked(ctx, p, r.msg)
	if err != nil {
		return "", err
	}
	return ack.Stream + ":" + strconv.FormatUint(ack.Sequence, 10), nil
}
