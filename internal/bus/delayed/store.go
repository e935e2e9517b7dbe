package delayed

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/bus/waiting"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Headers by which the server knows a message schedule.
const (
	headerSchedule = "Nats-Schedule"
	headerTarget   = "Nats-Schedule-Target"
)

// Store keeps the delayed commands of all clouds of a bridge.
type Store struct {
	conn    Conn
	streams Streams
	publish Publisher
	log     *slog.Logger
}

// New returns the store on a connection. It asks nobody.
func New(conn Conn, streams Streams, publish Publisher, log *slog.Logger) *Store {
	return &Store{conn: conn, streams: streams, publish: publish, log: log}
}

// Waiting is a delayed command in its stream.
type Waiting struct {
	Command events.Command
	// Until is when it is handed over to its queue.
	Until time.Time
	// Due says that its time has come, and that it is on its way to the queue.
	Due bool

	key      string
	sequence uint64
	msg      *jetstream.RawStreamMsg
}

// Schedule stores a command until a time. The identity is that of the command. The error is ErrUnsupported, ErrFull, or ErrOther if a
// command with that identity waits already; after any other error the command may be stored or not. To repeat it for the same message of
// the command is harmless: what has fired in the meantime is not stored again as long as the stream recognises the message id.
func (s *Store) Schedule(ctx context.Context, identity string, cmd events.Command, until time.Time) error {
	p := s.conn.Settings().Prefix
	key := keyOf(identity)
	subject := p.Command(cmd.Cloud, cmd.Resource, cmd.Operation)
	if cmd.Redrive != "" {
		subject = p.Redrive(cmd.Cloud, cmd.Resource, cmd.Operation)
	}
	msg, err := events.ToMsg(topology.WaitingSubject(p, cmd.Cloud, key), cmd.Event)
	if err != nil {
		return fmt.Errorf("delay: %w", err)
	}
	measure.Propagator.Inject(ctx, delivery.Header(msg.Header))
	if cmd.ReplyTo != "" {
		msg.Header[events.HeaderReplyTo] = []string{cmd.ReplyTo}
	}
	if cmd.Redrive != "" {
		msg.Header[events.HeaderRedrive] = []string{cmd.Redrive}
	}
	msg.Header[topology.HeaderDelayedSubject] = []string{subject}
	s.mark(msg, cmd.Cloud, key, until, 0, "delayed."+key+"."+cmd.Position)

	have, err := s.stream(ctx, cmd.Cloud)
	if err != nil {
		return err
	}
	size := len(msg.Data) + natserr.HeaderSize(msg.Header)
	if most := s.conn.NATS().MaxPayload(); most > 0 && int64(size) > most {
		return fmt.Errorf("%w: with the headers for that the message has %d bytes, and the server takes %d", ErrUnsupported, size, most)
	}
	if err := hasRoom(have, size); err != nil {
		return err
	}
	return s.store(ctx, have.Config.Name, msg)
}

// mark makes a message schedule of a message. after is the sequence of the message that it replaces, 0 for none.
func (s *Store) mark(msg *nats.Msg, cloud, key string, until time.Time, after uint64, id string) {
	at := until.UTC().Format(time.RFC3339Nano)
	for name, value := range map[string]string{
		headerSchedule: "@at " + at, headerTarget: topology.DueSubject(s.conn.Settings().Prefix, cloud, key),
		topology.HeaderDelayedUntil:         at,
		jetstream.ExpectedLastSubjSeqHeader: strconv.FormatUint(after, 10),
		events.HeaderMessageID:              percent.Encode(id),
	} {
		msg.Header[name] = []string{value}
	}
}

func (s *Store) store(ctx context.Context, stream string, msg *nats.Msg) error {
	attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	_, err := natserr.Publish(attempt, s.conn.JetStream(), msg, stream)
	switch {
	case natserr.Conflict(err):
		return ErrOther
	case natserr.Of(err) == natserr.Permanent:
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	case err != nil:
		return fmt.Errorf("delay: publish to %s: %w", stream, err)
	}
	return nil
}

// Queued returns the command with an identity that has a notbefore and waits in the queue of its cloud, where no worker has come to it. It
// reads the queue, command by command.
func (s *Store) Queued(ctx context.Context, cloud, identity string) (cmd events.Command, found bool, err error) {
	queue := waiting.Of(s.conn, cloud)
	last, _, err := queue.Last(ctx)
	if err != nil {
		return cmd, false, fmt.Errorf("delayed commands: %w", err)
	}
	err = queue.Each(ctx, last, func(c waiting.Command) error {
		if _, delayed := c.Event.Extensions()[attr.NotBefore]; c.Mistake == nil && delayed && c.Identity() == identity {
			cmd, found = c.Command, true
			return errFound
		}
		return nil
	})
	if found {
		err = nil
	}
	return cmd, found, err
}

// errFound ends the reading of a queue.
var errFound = errors.New("the command was found")

// Find returns the delayed command with an identity, if there is one.
func (s *Store) Find(ctx context.Context, cloud, identity string) (w Waiting, found bool, err error) {
	p, key := s.conn.Settings().Prefix, keyOf(identity)
	for _, subject := range []string{topology.WaitingSubject(p, cloud, key), topology.DueSubject(p, cloud, key)} {
		attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
		m, err := stored.On(s.conn).Last(attempt, topology.DelayedStream(p, cloud), subject)
		cancel()
		switch {
		case natserr.NoMessage(err):
			continue
		case natserr.NoStream(err), natserr.NobodyAnswers(err):
			return Waiting{}, false, nil
		case err != nil:
			return Waiting{}, false, fmt.Errorf("delayed commands: %w", err)
		}
		w, err := read(p, cloud, m)
		return w, err == nil, err
	}
	return Waiting{}, false, nil
}

// read reads a stored command.
func read(p events.Prefix, cloud string, m *jetstream.RawStreamMsg) (Waiting, error) {
	subject, until, err := marks(p, cloud, m.Header)
	if err != nil {
		return Waiting{}, err
	}
	cmd, err := p.DecodeCommand(subject, m.Header, m.Data, topology.DelayedStream(p, cloud)+":"+strconv.FormatUint(m.Sequence, 10))
	if err != nil {
		return Waiting{}, fmt.Errorf("delayed command at %d: %w", m.Sequence, err)
	}
	key := topology.SubjectToken(m.Subject, 4)
	return Waiting{Command: cmd, Until: until, Due: m.Subject == topology.DueSubject(p, cloud, key), key: key, sequence: m.Sequence, msg: m}, nil
}

// errMarks says that a message is none that this package has stored.
var errMarks = errors.New("the message is no delayed command")

// marks reads what Schedule wrote into the headers of a command: where it goes, and when.
func marks(p events.Prefix, cloud string, header nats.Header) (subject string, until time.Time, err error) {
	if values := header[topology.HeaderDelayedSubject]; len(values) == 1 {
		subject = values[0]
	}
	a, err := p.ParseCommand(subject)
	if err != nil {
		a, err = p.ParseRedrive(subject)
	}
	if err != nil || a.Cloud != cloud {
		return "", until, fmt.Errorf("%w: header %s is %.200q", errMarks, topology.HeaderDelayedSubject, subject)
	}
	if values := header[topology.HeaderDelayedUntil]; len(values) == 1 {
		until, err = time.Parse(time.RFC3339, values[0])
	}
	if err != nil || until.IsZero() {
		return "", until, fmt.Errorf("%w: header %s is missing or is no time", errMarks, topology.HeaderDelayedUntil)
	}
	return subject, until, nil
}

// Release has a command handed over to its queue now, and not at its time. If that has come already, Release does nothing.
func (s *Store) Release(ctx context.Context, w Waiting) error {
	if w.Due {
		return nil
	}
	msg := &nats.Msg{Subject: w.msg.Subject, Header: ownHeaders(w.msg.Header), Data: w.msg.Data}
	s.mark(msg, w.Command.Cloud, w.key, time.Now(), w.sequence, "released."+w.key+"."+strconv.FormatUint(w.sequence, 10))
	err := s.store(ctx, topology.DelayedStream(s.conn.Settings().Prefix, w.Command.Cloud), msg)
	if errors.Is(err, ErrOther) { // it is due
		return nil
	}
	return err
}

// ownHeaders are the headers that are not the broker's.
func ownHeaders(header nats.Header) nats.Header {
	own := nats.Header{}
	for name, values := range header {
		if !delivery.IsBrokerHeader(name) {
			own[name] = values
		}
	}
	return own
}

// keyOf makes a token of an identity that may hold anything.
func keyOf(identity string) string {
	sum := sha256.Sum256([]byte(identity))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
