package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// storedReader reads single messages of a stream without a consumer.
//
// Whoever may create consumers may have the broker publish what a stream holds wherever they like. So programs are not to
// have that right, and read by direct get: it needs the right to publish to $JS.API.DIRECT.GET.<stream> and nothing else.
type storedReader struct {
	js     jetstream.JetStream
	stream string
	// leader is true if nobody answered a direct get, as for a stream that does not allow it. Then its leader is asked, by
	// $JS.API.STREAM.MSG.GET.<stream>, and if that does not answer, it is the turn of direct get again.
	leader bool
}

// storedMsg is a message as it stands in a stream.
type storedMsg struct {
	subject  string
	sequence uint64
	header   nats.Header
	data     []byte
}

// getRequest asks for messages: those of a subject from a sequence or a time on, or the last one of a subject.
type getRequest struct {
	Seq       uint64     `json:"seq,omitempty"`
	NextFor   string     `json:"next_by_subj,omitempty"`
	LastFor   string     `json:"last_by_subj,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
	Batch     int        `json:"batch,omitempty"`
	MaxBytes  int        `json:"max_bytes,omitempty"`
}

// errNoStored says that the stream holds no such message.
var errNoStored = errors.New("no such message")

// errNoReader says that a stream cannot be read: it is not there, or the broker has no right for us, or it is away.
var errNoReader = errors.New("the stream is not there, or it may not be read")

// get returns the messages that are asked for, at least one if the error is nil. There may be more than these.
func (r *storedReader) get(ctx context.Context, req getRequest) ([]storedMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	if !r.leader {
		got, err := r.direct(ctx, req)
		if r.leader = errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded); !r.leader || ctx.Err() != nil {
			return got, err // who was not answered asks the leader the next time
		}
	}
	m, err := r.fromLeader(ctx, req)
	r.leader = !isOutage(err)
	if err != nil {
		return nil, err
	}
	return []storedMsg{m}, nil
}

// direct asks any of the servers that hold the stream.
func (r *storedReader) direct(ctx context.Context, req getRequest) ([]storedMsg, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	nc := r.js.Conn()
	answers, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }() // the connection is closed, then
	if err := nc.PublishRequest(r.api("DIRECT.GET."), answers.Subject, body); err != nil {
		return nil, err
	}
	var got []storedMsg
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
func readStored(msg *nats.Msg) (storedMsg, error) {
	sequences, subjects := binding.Lookup(msg.Header, "Nats-Sequence"), binding.Lookup(msg.Header, "Nats-Subject")
	if len(sequences) == 0 || len(subjects) == 0 {
		switch status := msg.Header.Get("Status"); status {
		case "204":
			return storedMsg{}, errEnd
		case "404":
			return storedMsg{}, errNoStored
		case "503":
			return storedMsg{}, nats.ErrNoResponders
		default:
			return storedMsg{}, fmt.Errorf("the broker answers with %s %s", binding.Quote(status), binding.Quote(msg.Header.Get("Description")))
		}
	}
	sequence, err := strconv.ParseUint(sequences[len(sequences)-1], 10, 64)
	if err != nil {
		return storedMsg{}, fmt.Errorf("sequence of a stored message: %w", err)
	}
	return storedMsg{subjects[len(subjects)-1], sequence, msg.Header, msg.Data}, nil
}

// fromLeader asks the leader of the stream for one message.
func (r *storedReader) fromLeader(ctx context.Context, req getRequest) (storedMsg, error) {
	req.Batch, req.MaxBytes = 0, 0
	body, err := json.Marshal(req)
	if err != nil {
		return storedMsg{}, err
	}
	msg, err := r.js.Conn().RequestWithContext(ctx, r.api("STREAM.MSG.GET."), body)
	if errors.Is(err, nats.ErrNoResponders) {
		return storedMsg{}, fmt.Errorf("%w: %w", errNoReader, err)
	}
	if err != nil {
		return storedMsg{}, err
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
		return storedMsg{}, fmt.Errorf("stored message: %w", err)
	}
	switch e := answer.Error; {
	case e == nil:
	case e.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return storedMsg{}, errNoStored
	case e.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		return storedMsg{}, fmt.Errorf("%w: %w", errNoReader, e)
	default:
		return storedMsg{}, e
	}
	m := storedMsg{subject: answer.Message.Subject, sequence: answer.Message.Seq, header: nats.Header{}, data: answer.Message.Data}
	if len(answer.Message.Header) > 0 {
		if m.header, err = nats.DecodeHeadersMsg(answer.Message.Header); err != nil {
			return storedMsg{}, fmt.Errorf("headers of a stored message: %w", err)
		}
	}
	return m, nil
}

// api is the subject of a request about the stream, behind the prefix with which js reaches the API.
func (r *storedReader) api(verb string) string {
	o := r.js.Options()
	prefix := jetstream.DefaultAPIPrefix
	switch {
	case o.APIPrefix != "":
		prefix = strings.TrimSuffix(o.APIPrefix, ".") + "."
	case o.Domain != "":
		prefix = "$JS." + o.Domain + ".API."
	}
	return prefix + verb + r.stream
}
