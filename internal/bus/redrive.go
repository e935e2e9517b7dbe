package bus

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
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// ErrStays says that a dead letter cannot be sent again; the error around it tells why.
var ErrStays = errors.New("it cannot be sent again")

// Redriven is a command that was sent again, or would be.
type Redriven struct {
	// Address, ID and Source are the command's. The id is a new one if its data is.
	events.Address
	ID, Source string
	// Subject is the one to send it on.
	Subject string
	msg     *nats.Msg
}

// PrepareRedrive makes of a dead command the message to send again. Unchanged it is the same command, with the same source
// and id: it goes to the subject for that, events.Prefix.Redrive, and says by events.HeaderRedrive which letter it comes
// from. With other data, which is what data that is not nil means, it is a new command with an id of its own, on the subject
// of commands. A letter of which that cannot be made is ErrStays.
func PrepareRedrive(p events.Prefix, l DeadLetter, data []byte, now time.Time) (Redriven, error) {
	if l.Lost() {
		return Redriven{}, fmt.Errorf("%w: its data is lost", ErrStays)
	}
	if l.Partial || l.Size > 0 {
		return Redriven{}, fmt.Errorf("%w: only a part of it was kept, %d of %d bytes of its data and perhaps not all headers", ErrStays, len(l.Data), l.Size)
	}
	address, err := p.ParseCommand(l.Original)
	if again, notAgain := p.ParseRedrive(l.Original); notAgain == nil { // it has died once more
		address, err = again, nil
	}
	if err != nil { // nobody who can write letters shall have us publish to a subject of his choice
		return Redriven{}, fmt.Errorf("%w: %w", ErrStays, err)
	}
	cmd := l.command(p)
	if at, ok := cmd.Event.Extensions()[attr.ExpiryTime]; ok {
		if t, err := types.ToTime(at); err == nil && !now.Before(t) {
			return Redriven{}, fmt.Errorf("%w: its expirytime has passed, so it would be rejected; send a new command", ErrStays)
		}
	}
	r := Redriven{Address: address, ID: l.ID, Source: cmd.Source(), Subject: p.Redrive(address.Cloud, address.Resource, address.Operation)}
	header := l.OriginalHeader()
	switch _, err := events.FromMsg(header, l.Data); {
	case data != nil:
		r.ID, r.Subject = mendedID(l, data), p.Command(address.Cloud, address.Resource, address.Operation)
		r.msg, err = repacked(r.Subject, header, cmd.Event, r.ID, data)
		if err != nil {
			return Redriven{}, fmt.Errorf("%w: %w", ErrStays, err)
		}
	case errors.Is(err, events.ErrPlain): // the id of a plain command is its message id or its place, and both are new now
		if r.msg, err = repacked(r.Subject, header, cmd.Event, l.ID, cmd.Event.Data()); err != nil {
			return Redriven{}, fmt.Errorf("%w: %w", ErrStays, err)
		}
	default:
		r.msg = &nats.Msg{Subject: r.Subject, Header: header, Data: l.Data}
	}
	messageID := r.ID
	if digest := identity.SourceDigest(r.Source); digest != "" {
		messageID += "." + digest
	}
	if data == nil {
		r.msg.Header[events.HeaderRedrive] = []string{strconv.FormatUint(l.Sequence, 10)}
		messageID = "redrive-" + uuid.NewString()
	} else {
		delete(r.msg.Header, events.HeaderRedrive) // of an earlier time
	}
	r.msg.Header[events.HeaderMessageID] = []string{percent.Encode(messageID)}
	lighten(r.msg.Header)
	return r, nil
}

// lightenRoom is what sending again adds to the headers: where the trace is now.
const lightenRoom = 1 << 10

// lighten leaves out headers that are no part of the command, the largest first, until the rest fits into a message. With
// those that tell that it is sent again, one that just fitted does not any more.
func lighten(h nats.Header) {
	size := func(name string) int { return natserr.HeaderSize(nats.Header{name: h[name]}) }
	names := slices.SortedFunc(maps.Keys(h), func(a, b string) int { return size(b) - size(a) })
	for _, name := range names {
		if natserr.HeaderSize(h) <= natserr.MaxHeader-lightenRoom {
			return
		}
		lower := strings.ToLower(name)
		if !strings.HasPrefix(lower, "ce-") && !strings.HasPrefix(lower, "factro-") && lower != "content-type" && name != events.HeaderMessageID {
			delete(h, name)
		}
	}
}

// mendedID is the id of the command that a letter becomes with other data. It is the same each time: to do it again, since
// the first acknowledgement was lost or the letter could not be deleted, makes no second command.
func mendedID(l DeadLetter, data []byte) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s:%d:%d:%s", l.Subject, l.Sequence, l.Time.UnixNano(), data)).String()
}

// repacked makes a message of a command's event with that id and data, and keeps the headers that are no attributes.
func repacked(subject string, header nats.Header, e event.Event, id string, data []byte) (*nats.Msg, error) {
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

// Redrive sends a command again and returns its place in the queue when that has it.
func (c *Client) Redrive(ctx context.Context, p events.Prefix, r Redriven) (position string, err error) {
	Propagator.Inject(ctx, delivery.Header(r.msg.Header))
	ack, err := c.publishAcked(ctx, p, r.msg)
	if err != nil {
		return "", err
	}
	return ack.Stream + ":" + strconv.FormatUint(ack.Sequence, 10), nil
}

// PublishEvent stores an event, under an id that makes repeating it harmless.
func (c *Client) PublishEvent(ctx context.Context, p events.Prefix, subject string, e event.Event, id string) error {
	msg, err := events.ToMsg(subject, e)
	if err != nil {
		return fmt.Errorf("publish to %s: %w", subject, err)
	}
	Propagator.Inject(ctx, delivery.Header(msg.Header))
	msg.Header[events.HeaderMessageID] = []string{percent.Encode(id)}
	ack, err := c.publishAcked(ctx, p, msg)
	if err != nil || !ack.Duplicate {
		return err
	}
	if reason, _ := sameEvent(ctx, c.cfg, c.js, ack, msg); reason == dupRepetition {
		return nil
	}
	// The letter is about to be deleted: what the stream has under this id is another event.
	again, id := withOwnID(msg, id)
	again.Header[events.HeaderMessageID] = []string{percent.Encode(id)}
	return c.publish(ctx, p, again)
}

func (c *Client) publish(ctx context.Context, p events.Prefix, msg *nats.Msg) error {
	_, err := c.publishAcked(ctx, p, msg)
	return err
}

func (c *Client) publishAcked(ctx context.Context, p events.Prefix, msg *nats.Msg) (ack *jetstream.PubAck, _ error) {
	ctx, cancel := context.WithTimeout(ctx, PublishAttempts*AttemptTimeout)
	defer cancel()
	streams := takers(p, msg.Subject)
	natserr.Expect(msg, streams[0])
	err := natserr.CheckHeader(msg.Header)
	if err == nil {
		ack, err = natserr.Publish(ctx, c.js, msg, streams...)
	}
	switch {
	case err == nil:
		return ack, nil
	case natserr.Of(err) == natserr.Permanent:
		return nil, refusedFor(msg, err, c.nc.MaxPayload())
	}
	return nil, fmt.Errorf("publish to %s: %w", msg.Subject, withHelp(err))
}

// NextResult returns the sequence that the next result of a cloud will have, to begin there to wait for one.
func (c *Client) NextResult(ctx context.Context, p events.Prefix, cloud string) (uint64, error) {
	stream, err := c.js.Stream(ctx, p.ResultStream(cloud))
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", p.ResultStream(cloud), err)
	}
	return stream.CachedInfo().State.LastSeq + 1, nil
}

// FinalResult waits for the final result of a command among those from a sequence on.
func (c *Client) FinalResult(ctx context.Context, p events.Prefix, r Redriven, from uint64) (events.Result, error) {
	consumer, err := c.js.OrderedConsumer(ctx, p.ResultStream(r.Cloud), jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{p.ResultFilter(r.Cloud, r.Resource, r.Operation, events.Any)},
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
	})
	if err != nil {
		return events.Result{}, fmt.Errorf("read stream %s: %w", p.ResultStream(r.Cloud), err)
	}
	it, err := consumer.Messages(jetstream.PullMaxMessages(deadBatch))
	if err != nil {
		return events.Result{}, fmt.Errorf("read stream %s: %w", p.ResultStream(r.Cloud), err)
	}
	defer it.Stop()
	for {
		msg, err := it.Next(jetstream.NextContext(ctx))
		switch {
		case ctx.Err() != nil:
			return events.Result{}, ctx.Err()
		case errors.Is(err, jetstream.ErrNoHeartbeat):
			continue
		case err != nil:
			return events.Result{}, fmt.Errorf("read stream %s: %w", p.ResultStream(r.Cloud), err)
		}
		e, err := events.FromMsg(msg.Headers(), msg.Data())
		if err != nil || !attr.Caused(e.Extensions(), r.Source, r.ID) {
			continue
		}
		if result, err := events.ResultOf(e); err == nil && result.Outcome.Final() {
			return result, nil
		}
	}
}
