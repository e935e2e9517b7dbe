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
	// ErrOtherStream says that a message was taken, or would be, by another stream than the one it is for.
	ErrOtherStream = errors.New("another stream takes this subject")
	// ErrNotKept says that a stream acknowledges what it does not keep.
	ErrNotKept = errors.New("its retention is interest and it has no consumer, so it acknowledges what it does not keep")
	// ErrNoAck says that somebody answers a publish who is no stream.
	ErrNoAck = errors.New("a program that is no stream answers on this subject, and no stream acknowledges")
)

// otherStream is the server's code for a stream that is not the expected one.
const otherStream jetstream.ErrorCode = 10060

// Publish stores a message in the stream of that name and returns its acknowledgement. It tells the server which stream it
// expects, and believes no other's acknowledgement: a stream of somebody else that takes the subject would acknowledge as well.
// Further names are those that the same stream may have instead, as while streams of an older version are taken over.
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

// Expect writes into a message which stream is to take it.
func Expect(msg *nats.Msg, stream string) {
	if msg.Header == nil {
		msg.Header = nats.Header{}
	}
	msg.Header[jetstream.ExpectedStreamHeader] = []string{stream}
}

// notExpected is the error of a publish that another stream has met.
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

// listen sends a message once more and waits for a stream among all who answer: the first answer was none of a stream. The
// message has its id, so a stream keeps one.
func listen(ctx context.Context, nc *nats.Conn, msg *nats.Msg) (*jetstream.PubAck, error) {
	sub, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // an error says that it is gone already
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
