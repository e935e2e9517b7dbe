// Package stored reads what streams hold without a consumer: single messages, and the content of objects.
//
// Whoever may create consumers may have the broker publish what a stream holds wherever they like. So programs are not to
// have that right, and read by direct get: it needs the right to publish to $JS.API.DIRECT.GET.<stream> and nothing else.
//
// In: the name of a stream or of an object. Out: messages as they are stored, and content that was checked against its
// digest. It writes nothing.
package stored

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// Reader reads single messages of a stream. It is for one goroutine at a time.
type Reader struct {
	JS     jetstream.JetStream
	Stream string
	// leader is true if nobody answered a direct get, as for a stream that does not allow it. Then its leader is asked, by
	// $JS.API.STREAM.MSG.GET.<stream>, and if that does not answer, it is the turn of direct get again.
	leader bool
}

// Message is a message as a stream holds it.
type Message struct {
	Subject  string
	Sequence uint64
	Header   nats.Header
	Data     []byte
}

// Request asks for messages: the one with a sequence, those of a subject from a sequence or a time on, or the last one of a
// subject.
type Request struct {
	Seq       uint64     `json:"seq,omitempty"`
	NextFor   string     `json:"next_by_subj,omitempty"`
	LastFor   string     `json:"last_by_subj,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
	Batch     int        `json:"batch,omitempty"`
	// MaxBytes bounds a batch. Get sets it.
	MaxBytes int `json:"max_bytes,omitempty"`
}

// bytesAtOnce bounds how much is fetched ahead of who reads it.
const bytesAtOnce = 1 << 20

// ErrNone says that the stream holds no such message.
var ErrNone = errors.New("no such message")

// ErrNoStream says that a stream cannot be read: it is not there, or the broker has no right for us, or it is away.
var ErrNoStream = errors.New("the stream is not there, or it may not be read")

// Get returns the messages that are asked for, at least one if the error is nil. There may be more than these.
func (r *Reader) Get(ctx context.Context, req Request) ([]Message, error) {
	ctx, cancel := context.WithTimeout(ctx, delivery.AttemptTimeout)
	defer cancel()
	if req.Batch > 0 {
		req.MaxBytes = bytesAtOnce
	}
	if !r.leader {
		got, err := r.direct(ctx, req)
		if r.leader = errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded); !r.leader || ctx.Err() != nil {
			return got, err // who was not answered asks the leader the next time
		}
	}
	m, err := r.fromLeader(ctx, req)
	r.leader = !natserr.Outage(err)
	if err != nil {
		return nil, err
	}
	return []Message{m}, nil
}

// direct asks any of the servers that hold the stream.
func (r *Reader) direct(ctx context.Context, req Request) ([]Message, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	nc := r.JS.Conn()
	answers, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }() // the connection is closed, then
	if err := nc.PublishRequest(r.api("DIRECT.GET"), answers.Subject, body); err != nil {
		return nil, err
	}
	var got []Message
	for {
		msg, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		m, err := readStored(msg)
		if err != nil {
			if errors.Is(err, errEnd) && len(got) > 0 {
				return got, nil
			}
			return nil, err
		}
		got = append(got, m)
		if req.Batch == 0 || binding.Lookup(msg.Header, "Nats-Num-Pending") == nil { // an old server, which knows no batches
			return got, nil
		}
	}
}

// errEnd says that a batch has ended.
var errEnd = errors.New("end of the batch")

// readStored takes apart an answer to a direct get. The broker appends what it says of a message to the message's own
// headers, which may be alike, so the last value is the broker's. An answer that is no message has no sequence.
func readStored(msg *nats.Msg) (Message, error) {
	sequences, subjects := binding.Lookup(msg.Header, "Nats-Sequence"), binding.Lookup(msg.Header, "Nats-Subject")
	if len(sequences) == 0 || len(subjects) == 0 {
		switch status := msg.Header.Get("Status"); status {
		case "204":
			return Message{}, errEnd
		case "404":
			return Message{}, ErrNone
		case "503":
			return Message{}, nats.ErrNoResponders
		default:
			return Message{}, fmt.Errorf("the broker answers with %s %s", binding.Quote(status), binding.Quote(msg.Header.Get("Description")))
		}
	}
	sequence, err := strconv.ParseUint(sequences[len(sequences)-1], 10, 64)
	if err != nil {
		return Message{}, fmt.Errorf("sequence of a stored message: %w", err)
	}
	return Message{subjects[len(subjects)-1], sequence, msg.Header, msg.Data}, nil
}

// fromLeader asks the leader of the stream for one message.
func (r *Reader) fromLeader(ctx context.Context, req Request) (Message, error) {
	req.Batch, req.MaxBytes = 0, 0
	body, err := json.Marshal(req)
	if err != nil {
		return Message{}, err
	}
	msg, err := r.JS.Conn().RequestWithContext(ctx, r.api("STREAM.MSG.GET"), body)
	if errors.Is(err, nats.ErrNoResponders) {
		return Message{}, fmt.Errorf("%w: %w", ErrNoStream, err)
	}
	if err != nil {
		return Message{}, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject string `json:"subject"`
			Seq     uint64 `json:"seq"`
			Header  []byte `json:"hdrs"`
			Data    []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil {
		return Message{}, fmt.Errorf("stored message: %w", err)
	}
	switch e := answer.Error; {
	case e == nil:
	case e.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return Message{}, ErrNone
	case e.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		return Message{}, fmt.Errorf("%w: %w", ErrNoStream, e)
	default:
		return Message{}, e
	}
	m := Message{Subject: answer.Message.Subject, Sequence: answer.Message.Seq, Header: nats.Header{}, Data: answer.Message.Data}
	if len(answer.Message.Header) > 0 {
		if m.Header, err = nats.DecodeHeadersMsg(answer.Message.Header); err != nil {
			return Message{}, fmt.Errorf("headers of a stored message: %w", err)
		}
	}
	return m, nil
}

// api is the subject of a request about the stream.
func (r *Reader) api(verb string) string { return delivery.API(r.JS) + "." + verb + "." + r.Stream }
