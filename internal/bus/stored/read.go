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

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
)

// Conn is what reading needs of the connection to NATS.
type Conn interface {
	JetStream() jetstream.JetStream
	Settings() dial.Config
	// Health says whether the leader of a stream may not be asked, on this connection.
	Health() *health.Health
}

// Reader reads from the leaders of streams.
type Reader struct{ conn Conn }

// On returns a reader on a connection.
func On(conn Conn) Reader { return Reader{conn} }

// Get is the function Get, but asks the leader of the stream: whether a message is there decides what is done with it, and
// another server may answer with the past.
func (r Reader) Get(ctx context.Context, stream string, sequence uint64, subject string) (m *jetstream.RawStreamMsg, err error) {
	request := map[string]any{"seq": sequence}
	if subject != "" {
		request["next_by_subj"] = subject
	}
	return r.get(ctx, stream, request, func() (*jetstream.RawStreamMsg, error) {
		return Get(ctx, r.conn.Settings(), r.conn.JetStream(), stream, sequence, subject)
	})
}

// Since reads the first message of a subject that the stream took at a time or later.
func (r Reader) Since(ctx context.Context, stream, subject string, since time.Time) (*jetstream.RawStreamMsg, error) {
	request := map[string]any{"start_time": since, "next_by_subj": subject}
	return r.get(ctx, stream, request, func() (*jetstream.RawStreamMsg, error) {
		text, err := json.Marshal(request)
		if err != nil {
			return nil, err
		}
		attempt, cancel := context.WithTimeout(ctx, dial.AttemptTimeout)
		defer cancel()
		msg, err := r.conn.JetStream().Conn().RequestWithContext(attempt, r.conn.Settings().API("DIRECT.GET."+stream), text)
		if err != nil {
			return nil, err
		}
		return directMsg(msg)
	})
}

// get asks the leader of a stream, or, where it may not be asked, any server.
func (r Reader) get(ctx context.Context, stream string, request map[string]any, direct func() (*jetstream.RawStreamMsg, error)) (m *jetstream.RawStreamMsg, err error) {
	for range readAttempts {
		if r.conn.Health().OnlyDirect(stream) {
			return direct()
		}
		attempt, cancel := context.WithTimeout(ctx, readTimeout)
		m, err = r.FromLeader(attempt, stream, request)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			break
		}
	}
	return m, err
}

// Last reads the last message of a subject from the leader of its stream, and asks once. An account without the right to ask
// the leader gets the answer of any server that holds the stream.
func (r Reader) Last(ctx context.Context, stream, subject string) (*jetstream.RawStreamMsg, error) {
	if !r.conn.Health().OnlyDirect(stream) {
		return r.FromLeader(ctx, stream, map[string]any{"last_by_subj": subject})
	}
	msg, err := r.conn.JetStream().Conn().RequestWithContext(ctx, r.conn.Settings().API("DIRECT.GET."+stream+"."+subject), nil)
	if err != nil {
		return nil, err
	}
	return directMsg(msg)
}

// noMessageFound is the server's code for a subject without messages.
const noMessageFound = 10037

const (
	// readTimeout is how long a server may take to answer a read. A leader that does not answer is being replaced.
	readTimeout  = time.Second
	readAttempts = 3
)

// Get reads the message of a stream that has this sequence; with a subject, the first one of that subject from there.
//
// A sender may write headers that the broker uses to tell about a message: its subject, its sequence, its time, or that there
// is none. The broker appends its own words, and the client library takes the first ones. Here the last ones count.
func Get(ctx context.Context, c dial.Config, js jetstream.JetStream, stream string, sequence uint64, subject string) (*jetstream.RawStreamMsg, error) {
	request, err := json.Marshal(map[string]any{"seq": sequence, "next_by_subj": subject})
	if subject == "" {
		request, err = json.Marshal(map[string]any{"seq": sequence})
	}
	if err != nil {
		return nil, err
	}
	attempt, cancel := context.WithTimeout(ctx, dial.AttemptTimeout)
	defer cancel()
	msg, err := js.Conn().RequestWithContext(attempt, c.API("DIRECT.GET."+stream), request)
	if errors.Is(err, nats.ErrNoResponders) { // it allows no direct get; its leader tells the headers apart from its own words
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return nil, err
		}
		var opts []jetstream.GetMsgOpt
		if subject != "" {
			opts = append(opts, jetstream.WithGetMsgSubject(subject))
		}
		return s.GetMsg(ctx, sequence, opts...)
	}
	if err != nil {
		return nil, err
	}
	return directMsg(msg)
}

// directMsg is the message in the answer to a direct get.
func directMsg(msg *nats.Msg) (_ *jetstream.RawStreamMsg, err error) {
	last := func(name string) string {
		if values := msg.Header[name]; len(values) > 0 {
			return values[len(values)-1]
		}
		return ""
	}
	if last(jetstream.SequenceHeader) == "" {
		if status := msg.Header.Get("Status"); status != "404" {
			return nil, fmt.Errorf("the broker answers %q %q", status, msg.Header.Get("Description"))
		}
		return nil, jetstream.ErrMsgNotFound
	}
	m := &jetstream.RawStreamMsg{Subject: last(jetstream.SubjectHeader), Header: msg.Header, Data: msg.Data}
	if m.Sequence, err = strconv.ParseUint(last(jetstream.SequenceHeader), 10, 64); err != nil {
		return nil, fmt.Errorf("sequence of a message: %w", err)
	}
	if m.Time, err = time.Parse(time.RFC3339Nano, last(jetstream.TimeStampHeaer)); err != nil {
		return nil, fmt.Errorf("time of a message: %w", err)
	}
	return m, nil
}

// FromLeader reads a message of a stream from the server that leads it: what is there is there, and what is not is not.
func (r Reader) FromLeader(ctx context.Context, stream string, request map[string]any) (*jetstream.RawStreamMsg, error) {
	text, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	answer, err := r.conn.JetStream().Conn().RequestWithContext(ctx, r.conn.Settings().API("STREAM.MSG.GET."+stream), text)
	if err != nil {
		return nil, err
	}
	var got struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Header   []byte    `json:"hdrs"`
			Data     []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	switch err := json.Unmarshal(answer.Data, &got); {
	case err != nil:
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	case got.Error != nil && got.Error.ErrorCode == noMessageFound:
		return nil, jetstream.ErrMsgNotFound
	case got.Error != nil:
		return nil, fmt.Errorf("read stream %s: %w", stream, got.Error)
	case got.Message == nil:
		return nil, fmt.Errorf("read stream %s: the broker's answer has no message", stream)
	}
	m := &jetstream.RawStreamMsg{Subject: got.Message.Subject, Sequence: got.Message.Sequence, Data: got.Message.Data, Time: got.Message.Time}
	if len(got.Message.Header) > 0 {
		if m.Header, err = nats.DecodeHeadersMsg(got.Message.Header); err != nil {
			return nil, fmt.Errorf("read stream %s: headers: %w", stream, err)
		}
	}
	return m, nil
}
