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
	return Direct(msg)
}

// Direct is the message in the answer to a direct get.
func Direct(msg *nats.Msg) (_ *jetstream.RawStreamMsg, err error) {
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
