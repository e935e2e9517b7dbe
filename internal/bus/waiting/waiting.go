package waiting

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Command is a command in the queue.
type Command struct {
	events.Command
	// Mistake is why the message could not be read as a command, else nil.
	Mistake error
	// Stored is when the stream stored it.
	Stored time.Time

	stream string
	msg    *jetstream.RawStreamMsg
}

// Queue is the queue of a cloud's commands.
type Queue struct {
	conn   stored.Conn
	stream string
}

// Of returns the queue of a cloud. It asks nobody.
func Of(conn stored.Conn, cloud string) *Queue {
	return &Queue{conn, conn.Settings().Prefix.CommandStream(cloud)}
}

// Last returns the sequence of the last command that is there now, and how many there are.
func (q *Queue) Last(ctx context.Context) (sequence, count uint64, err error) {
	s, err := q.conn.JetStream().Stream(ctx, q.stream)
	if err != nil {
		return 0, 0, fmt.Errorf("stream %s: %w", q.stream, err)
	}
	state := s.CachedInfo().State
	return state.LastSeq, state.Msgs, nil
}

// Each calls do with each command up to a sequence, until do fails.
func (q *Queue) Each(ctx context.Context, last uint64, do func(Command) error) error {
	for at := uint64(0); at < last; {
		m, err := stored.On(q.conn).Get(ctx, q.stream, at+1, ">")
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the queue: %w", err)
		}
		if at = m.Sequence; at > last {
			return nil
		}
		c := Command{Stored: m.Time, stream: q.stream, msg: m}
		c.Command, c.Mistake = q.conn.Settings().Prefix.DecodeCommand(m.Subject, m.Header, m.Data, q.stream+":"+strconv.FormatUint(m.Sequence, 10))
		if err := do(c); err != nil {
			return err
		}
	}
	return nil
}

// Remove takes a command out of the queue. One that is gone already is no error.
func (q *Queue) Remove(ctx context.Context, c Command) error {
	s, err := q.conn.JetStream().Stream(ctx, q.stream)
	if err != nil {
		return fmt.Errorf("stream %s: %w", q.stream, err)
	}
	err = s.DeleteMsg(ctx, c.msg.Sequence)
	if err == nil {
		return nil
	}
	if _, gone := stored.On(q.conn).Get(ctx, q.stream, c.msg.Sequence, ""); errors.Is(gone, jetstream.ErrMsgNotFound) || natserr.NoMessage(gone) {
		return nil // a bridge was faster
	}
	return fmt.Errorf("take %s out of the queue: %w", c.Position, err)
}

// Letters stores dead letters.
type Letters interface {
	// GiveUp stores a dead letter, or parks it.
	GiveUp(ctx context.Context, dead *nats.Msg, id string, whole bool) error
}

// GiveUp stores the dead letter of a command, under the id that a bridge would give it too.
func (c Command) GiveUp(ctx context.Context, letters Letters, subject, code string, reason error) error {
	dead := deadletter.Copy(subject, c.msg.Subject, c.msg.Header, c.msg.Data)
	deadletter.SetReason(dead.Header, code, reason)
	deadletter.SetDelivery(dead.Header, c.Position, 0)
	if err := letters.GiveUp(ctx, dead, deadletter.ID(c.Position, c.Stored), false); err != nil {
		return fmt.Errorf("dead letter: %w", err)
	}
	return nil
}
