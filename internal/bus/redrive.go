package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// ErrStays says that a dead letter cannot be sent again; the error around it tells why.
var ErrStays = errors.New("it cannot be sent again")

// Redriven is a command that was sent again, or would be.
type Redriven struct {
	// Address and ID are the command's. The id is a new one if its data is.
	events.Address
	ID, Subject string
	msg         *nats.Msg
}

// PrepareRedrive makes of a dead command the message to send again on its original subject. Unchanged it is the same
// command, with the same id, and says by events.HeaderRedrive which letter it comes from. With other data, which is what
// data that is not nil means, it is a new command with an id of its own. A letter of which that cannot be made is
// ErrStays.
func PrepareRedrive(p events.Prefix, l DeadLetter, data []byte, now time.Time) (Redriven, error) {
	if l.Lost() {
		return Redriven{}, fmt.Errorf("%w: its data is lost", ErrStays)
	}
	if l.Size > 0 {
		return Redriven{}, fmt.Errorf("%w: only the beginning of its data was kept, %d of %d bytes", ErrStays, len(l.Data), l.Size)
	}
	address, err := p.ParseCommand(l.Original)
	if err != nil { // nobody who can write letters shall have us publish to a subject of his choice
		return Redriven{}, fmt.Errorf("%w: %w", ErrStays, err)
	}
	cmd := l.command(p)
	if at, ok := cmd.Event.Extensions()[events.ExtExpiryTime]; ok {
		if t, err := types.ToTime(at); err == nil && !now.Before(t) {
			return Redriven{}, fmt.Errorf("%w: its expirytime has passed, so it would be rejected; send a new command", ErrStays)
		}
	}
	r := Redriven{Address: address, ID: l.ID, Subject: l.Original}
	header := l.OriginalHeader()
	switch _, err := events.FromMsg(header, l.Data); {
	case data != nil:
		r.ID = mendedID(l, data)
		r.msg, err = repacked(l.Original, header, cmd.Event, r.ID, data)
		if err != nil {
			return Redriven{}, fmt.Errorf("%w: %w", ErrStays, err)
		}
	case errors.Is(err, events.ErrPlain): // the id of a plain command is its message id or its place, and both are new now
		if r.msg, err = repacked(l.Original, header, cmd.Event, l.ID, cmd.Event.Data()); err != nil {
			return Redriven{}, fmt.Errorf("%w: %w", ErrStays, err)
		}
	default:
		r.msg = &nats.Msg{Subject: l.Original, Header: header, Data: l.Data}
	}
	messageID := r.ID
	if data == nil {
		r.msg.Header[events.HeaderRedrive] = []string{strconv.FormatUint(l.Sequence, 10)}
		messageID = "redrive-" + uuid.NewString()
	} else {
		delete(r.msg.Header, events.HeaderRedrive) // of an earlier time
	}
	r.msg.Header[events.HeaderMessageID] = []string{events.EncodeHeader(messageID)}
	return r, nil
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

// Redrive sends a command again and returns when the queue has it.
func (c *Client) Redrive(ctx context.Context, r Redriven) error {
	propagator.Inject(ctx, carrier(r.msg.Header))
	return c.publish(ctx, r.msg)
}

// PublishEvent stores an event, under an id that makes repeating it harmless.
func (c *Client) PublishEvent(ctx context.Context, subject string, e event.Event, id string) error {
	msg, err := events.ToMsg(subject, e)
	if err != nil {
		return fmt.Errorf("publish to %s: %w", subject, err)
	}
	propagator.Inject(ctx, carrier(msg.Header))
	msg.Header[events.HeaderMessageID] = []string{events.EncodeHeader(id)}
	return c.publish(ctx, msg)
}

func (c *Client) publish(ctx context.Context, msg *nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, publishAttempts*attemptTimeout)
	defer cancel()
	if _, err := c.js.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("publish to %s: %w", msg.Subject, err)
	}
	return nil
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
		if err != nil || e.Extensions()[events.ExtCausationID] != r.ID {
			continue
		}
		if result, err := events.ResultOf(e); err == nil && result.Outcome.Final() {
			return result, nil
		}
	}
}
