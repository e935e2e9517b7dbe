package natserr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrOtherStream means that another stream than the intended one takes, or would take, a message.
	ErrOtherStream = errors.New("another stream takes this subject")
	// ErrNotKept means that a stream acknowledges messages that it does not keep.
	ErrNotKept = errors.New("its retention is interest and it has no consumer, so it acknowledges what it does not keep")
	// ErrNoAck means that a publish is answered by something that is not a stream.
	ErrNoAck = errors.New("a program that is not a stream answers on this subject, and no stream acknowledges")
)

// otherStream is the server's code for a stream other than the expected one.
const otherStream jetstream.ErrorCode = 10060

// Publish stores a message in the named stream and returns its acknowledgement. It sends the name of the expected stream,
// and rejects the acknowledgement of any other, since another stream with this subject would acknowledge as well. Further
// names are accepted alternatives, used while streams of an older version are migrated.
func Publish(ctx context.Context, js jetstream.JetStream, msg *nats.Msg, streams ...string) (ack *jetstream.PubAck, err error) {
	for _, stream := range streams {
		Expect(msg, stream)
		ack, err = js.PublishMsg(ctx, msg)
		if errors.Is(err, jetstream.ErrInvalidJSAck) {
			ack, err = listen(ctx, js.Conn(), msg)
		}
		if !errors.Is(notExpected(ack, err, streams), ErrOtherStream) {
			break
		}
	}
	if err = notExpected(ack, err, streams); err != nil {
		return nil, err
	}
	return ack, nil
}

// Expect sets the stream that must take a message.
func Expect(msg *nats.Msg, stream string) {
	if msg.Header == nil {
		msg.Header = nats.Header{}
	}
	msg.Header[jetstream.ExpectedStreamHeader] = []string{stream}
}

// notExpected is the error of a publish that reached another stream.
func notExpected(ack *jetstream.PubAck, err error, streams []string) error {
	refused, ok := Refusal(err)
	switch {
	case ok && refused.ErrorCode == otherStream:
		return fmt.Errorf("%w than %s: %w", ErrOtherStream, streams[0], err)
	case err == nil && !slices.Contains(streams, ack.Stream):
		return fmt.Errorf("%w than %s: it is %.100q", ErrOtherStream, streams[0], ack.Stream)
	}
	return err
}

// listen sends a message again and waits for a stream's answer among all answers, since the first one was not from a
// stream. The message has an id, so a stream stores it once.
func listen(ctx context.Context, nc *nats.Conn, msg *nats.Msg) (*jetstream.PubAck, error) {
	sub, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // an error means that it has already ended
	again := &nats.Msg{Subject: msg.Subject, Reply: sub.Subject, Header: msg.Header, Data: msg.Data}
	if err := nc.PublishMsg(again); err != nil {
		return nil, err
	}
	strangers, size := 0, 0
	for {
		answer, err := sub.NextMsgWithContext(ctx)
		switch {
		case err != nil && strangers > 0:
			return nil, fmt.Errorf("%w; size of its answer: %d", ErrNoAck, size)
		case err != nil:
			return nil, err
		}
		var ack struct {
			Error *jetstream.APIError `json:"error"`
			*jetstream.PubAck
		}
		switch err := json.Unmarshal(answer.Data, &ack); {
		case err == nil && ack.Error != nil:
			return nil, fmt.Errorf("nats: %w", ack.Error)
		case err == nil && ack.PubAck != nil && ack.Stream != "":
			return ack.PubAck, nil
		}
		strangers, size = strangers+1, len(answer.Data)
	}
}
