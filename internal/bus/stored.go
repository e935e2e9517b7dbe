package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
)

// StoredMsg is stored.Get, but asks the leader of the stream: whether a message is there decides what is done with it, and
// another server may answer with the past.
func (b *Conn) StoredMsg(ctx context.Context, stream string, sequence uint64, subject string) (m *jetstream.RawStreamMsg, err error) {
	request := map[string]any{"seq": sequence}
	if subject != "" {
		request["next_by_subj"] = subject
	}
	for range readAttempts {
		if b.health.OnlyDirect(stream) {
			return stored.Get(ctx, b.cfg, b.js, stream, sequence, subject)
		}
		attempt, cancel := context.WithTimeout(ctx, readTimeout)
		m, err = b.FromLeader(attempt, stream, request)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			break
		}
	}
	return m, err
}

// LastMsg reads the last message of a subject from the leader of its stream, and asks once. An account without the right to ask
// the leader gets the answer of any server that holds the stream.
func (b *Conn) LastMsg(ctx context.Context, stream, subject string) (*jetstream.RawStreamMsg, error) {
	if !b.health.OnlyDirect(stream) {
		return b.FromLeader(ctx, stream, map[string]any{"last_by_subj": subject})
	}
	msg, err := b.nc.RequestWithContext(ctx, b.cfg.API("DIRECT.GET."+stream+"."+subject), nil)
	if err != nil {
		return nil, err
	}
	return stored.Direct(msg)
}

// noMessageFound is the server's code for a subject without messages.
const noMessageFound = 10037

const (
	// readTimeout is how long a server may take to answer a read. A leader that does not answer is being replaced.
	readTimeout  = time.Second
	readAttempts = 3
)

// FromLeader reads a message of a stream from the server that leads it: what is there is there, and what is not is not.
func (b *Conn) FromLeader(ctx context.Context, stream string, request map[string]any) (*jetstream.RawStreamMsg, error) {
	text, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	answer, err := b.nc.RequestWithContext(ctx, b.cfg.API("STREAM.MSG.GET."+stream), text)
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

// ClockSkew is how far the clocks of a cluster's servers may be apart.
const ClockSkew = time.Minute
