package notices

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/logsample"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const (
	// most bounds how many messages wait, attempts how often one is sent: over a minute, in which a stream is made.
	most, attempts = 256, 12
	// leaving is how long the end of the bridge waits for what it has reported last.
	leaving = time.Second
)

// Conn is what storing needs of the connection to NATS.
type Conn interface {
	AwaitUp(ctx context.Context) error
	JetStream() jetstream.JetStream
	Settings() dial.Config
}

// Sender stores messages one after the other.
type Sender struct {
	conn    Conn
	log     *slog.Logger
	samples *logsample.Sampler
	waiting chan notice
}

type notice struct {
	cloud, id string
	msg       *nats.Msg
}

// New returns a sender on a connection.
func New(conn Conn, log *slog.Logger) *Sender {
	return &Sender{conn: conn, log: log, samples: logsample.New(time.Minute), waiting: make(chan notice, most)}
}

// Send has a message of a cloud stored, once for its id, and does not wait for that.
func (s *Sender) Send(cloud string, msg *nats.Msg, id string) {
	select {
	case s.waiting <- notice{cloud, id, msg}:
	default:
		s.dropped(context.Background(), msg.Subject, "too many wait")
	}
}

// Run stores what is sent until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	for {
		select {
		case n := <-s.waiting:
			s.store(ctx, n)
		case <-ctx.Done():
			s.flush(ctx)
			return nil
		}
	}
}

// flush stores what waits at the end.
func (s *Sender) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaving)
	defer cancel()
	for len(s.waiting) > 0 && ctx.Err() == nil {
		s.store(ctx, <-s.waiting)
	}
}

func (s *Sender) store(ctx context.Context, n notice) {
	if n.msg.Header == nil {
		n.msg.Header = nats.Header{}
	}
	n.msg.Header[events.HeaderMessageID] = []string{percent.Encode(n.id)}
	stream := s.conn.Settings().Prefix.BridgeStream(n.cloud)
	for attempt := 1; s.conn.AwaitUp(ctx) == nil; attempt++ {
		once, cancel := context.WithTimeout(ctx, dial.AttemptTimeout)
		_, err := natserr.Publish(once, s.conn.JetStream(), n.msg, stream)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		if natserr.Disconnected(err) {
			attempt--
		}
		if attempt == attempts || natserr.Of(err) == natserr.Permanent {
			s.dropped(ctx, n.msg.Subject, err.Error())
			return
		}
		select {
		case <-time.After(delivery.Backoff(min(attempt, 5))):
		case <-ctx.Done():
		}
	}
}

func (s *Sender) dropped(ctx context.Context, subject, why string) {
	if skipped, due := s.samples.Due("dropped", time.Now()); due {
		s.log.WarnContext(ctx, "an event of the bridge itself cannot be stored, so it is lost", "subject", subject, "error", why, "not_logged", skipped)
	}
}
