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
)

const (
	// scanBatch is how many messages one request asks for, scanQuiet how long it waits for the next of them.
	scanBatch, scanQuiet = 100, 2 * time.Second
)

// ErrMoving says that a stream does not have its older messages yet.
var ErrMoving = errors.New("the stream is being filled from the one of an older version")

var errScan = errors.New("the broker ended its answer early")

// Scanned is what Scan needs of the connection to NATS.
type Scanned interface {
	Conn
	// IsMoving says whether a stream is being filled from one of an older version.
	IsMoving(stream string) bool
}

// Scan reads what a stream has under one subject: after a sequence, or from a time on if after is 0. It calls each for every
// message, and returns the sequence of the last one that it read, also with an error. ErrMoving says to wait.
func Scan(ctx context.Context, conn Scanned, stream, subject string, after uint64, from time.Time, each func(*nats.Msg)) (last uint64, err error) {
	if conn.IsMoving(stream) { // what was there is still being copied
		return after, ErrMoving
	}
	s := scanner{conn, stream, subject, after, each}
	for {
		request := map[string]any{"next_by_subj": subject, "batch": scanBatch}
		if s.last == 0 {
			request["start_time"] = from
		} else {
			request["seq"] = s.last + 1
		}
		n, err := s.batch(ctx, request)
		if err != nil {
			return s.last, err
		}
		if n == 0 {
			return s.last, s.catchUp(ctx)
		}
	}
}

type scanner struct {
	conn            Conn
	stream, subject string
	last            uint64 // the sequence of the last message that was read
	each            func(*nats.Msg)
}

// catchUp reads on from the leader of the stream. Any server may have answered the batches, and one that has stopped does not
// know the last messages. An account without the right to ask the leader does without.
func (s *scanner) catchUp(ctx context.Context) error {
	for !s.conn.Health().OnlyDirect(s.stream) {
		m, err := On(s.conn).Get(ctx, s.stream, s.last+1, s.subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, nats.ErrNoResponders) { // or the account does not import it
			return nil
		}
		if err != nil {
			return err
		}
		s.last = m.Sequence
		s.each(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
	}
	return nil
}

// batch makes one request and returns how many messages came. The client has no word for it; it is JetStream's direct
// get with a batch.
func (s *scanner) batch(ctx context.Context, request map[string]any) (n int, err error) {
	text, err := json.Marshal(request)
	if err != nil {
		return 0, err
	}
	nc := s.conn.JetStream().Conn()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return 0, err
	}
	defer func() { _ = sub.Unsubscribe() }() // an error says that it is gone already
	if err := nc.PublishRequest(s.conn.Settings().API("DIRECT.GET."+s.stream), inbox, text); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, scanQuiet)
	defer cancel()
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return n, err
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "204", "404": // the end of the batch, or nothing
			return n, nil
		default:
			return n, fmt.Errorf("%w: %s %s", errScan, status, m.Header.Get("Description"))
		}
		if s.last, err = strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64); err != nil {
			return n, fmt.Errorf("%w: %w", errScan, err)
		}
		n++
		s.each(m)
		if m.Header.Get("Nats-Num-Pending") == "" { // an old server, which knows no batches
			return n, nil
		}
	}
}
