package delayed

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

// unsupportedPause is how long it takes until a server or a stream that does not know message schedules is looked at again.
const unsupportedPause = time.Minute

// Run hands the delayed commands of a cloud over to their queue when they are due, until ctx ends. Any number of bridges may do so at once.
// Without the stream, or without rights on it, Run logs that once and goes on trying.
func (s *Store) Run(ctx context.Context, cloud string) error {
	select {
	case <-s.conn.StreamsReady(cloud):
	case <-ctx.Done():
		return nil
	}
	for failures := 0; ; failures++ {
		if s.conn.AwaitUp(ctx) != nil {
			return nil //nolint:nilerr // ctx has ended, or the connection is closed for good and the process ends
		}
		began := time.Now()
		err := s.handOver(ctx, cloud)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is the ordinary end
		}
		if time.Since(began) > time.Minute {
			failures = 0
		}
		pause := delivery.Backoff(failures)
		if errors.Is(err, ErrUnsupported) {
			pause = unsupportedPause
		}
		if err != nil && s.conn.News(topology.DelayedConsumer+" of "+cloud, err.Error()) {
			s.log.WarnContext(ctx, "delayed commands cannot be handed over; trying again", "cloud", cloud, "error", err)
		}
		if !delivery.Pause(ctx, pause) {
			return nil
		}
	}
}

// handOver hands over until ctx ends or the consumer is lost.
func (s *Store) handOver(ctx context.Context, cloud string) error {
	have, err := s.stream(ctx, cloud)
	if err != nil {
		return err
	}
	c, err := s.bind(ctx, cloud)
	if err != nil {
		return fmt.Errorf("consumer %s of %s: %w", topology.DelayedConsumer, have.Config.Name, err)
	}
	puller := delivery.Puller{
		Conn: s.conn.NATS(), Line: s.conn, API: s.conn.Settings().APIRoot(),
		Stream: have.Config.Name, Consumer: c.CachedInfo().Name, Heartbeat: delivery.Heartbeat,
	}
	for ctx.Err() == nil {
		msg, err := puller.Next(ctx)
		switch {
		case msg != nil:
			s.handle(ctx, cloud, msg)
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("pull from %s: %w", topology.DelayedConsumer, err)
		}
	}
	return nil
}

// bind returns the consumer of what is due, which it creates if it is missing.
func (s *Store) bind(ctx context.Context, cloud string) (jetstream.Consumer, error) {
	cfg := s.conn.Settings()
	stream := topology.DelayedStream(cfg.Prefix, cloud)
	attempt, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	c, err := s.conn.JetStream().Consumer(attempt, stream, topology.DelayedConsumer)
	cancel()
	if !cfg.Manage || !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return c, err
	}
	attempt, cancel = context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	return s.conn.JetStream().CreateConsumer(attempt, stream, cfg.Plan().DueConsumer(cloud))
}

// handle hands over one command and settles it. One that could not be handed over comes again.
func (s *Store) handle(stopping context.Context, cloud string, msg *nats.Msg) {
	ctx, cancel := delivery.Grace(stopping, s.conn.Settings().DrainTimeout)
	defer cancel()
	verdict, err := s.forward(ctx, cloud, msg)
	if err != nil {
		s.log.WarnContext(ctx, "a delayed command could not be handed over", "subject", msg.Subject, "again", !verdict.Final(), "error", err)
	}
	if err := delivery.Confirm(ctx, s.conn, s.conn.NATS(), msg.Reply, verdict); err != nil {
		s.log.WarnContext(ctx, "a delayed command could not be settled; it will be handed over again, which is harmless", "subject", msg.Subject, "error", err)
	}
}

// forward publishes a command on its own subject. It waits for the time of the command by the clock of this bridge too: the server's may be
// ahead of it.
func (s *Store) forward(ctx context.Context, cloud string, msg *nats.Msg) (delivery.Verdict, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return delivery.Nak(time.Second), err
	}
	again := delivery.Nak(delivery.Backoff(int(min(meta.NumDelivered, 10))))
	subject, until, err := marks(s.conn.Settings().Prefix, cloud, msg.Header)
	if err != nil { // somebody else has published it
		return delivery.Term("no delayed command"), err
	}
	if early := time.Until(until); early > 0 {
		return delivery.Nak(early), nil
	}
	header := ownHeaders(msg.Header)
	delete(header, topology.HeaderDelayedSubject)
	delete(header, topology.HeaderDelayedUntil)
	id := "due." + topology.SubjectToken(msg.Subject, 4) + "." + strconv.FormatUint(meta.Sequence.Stream, 10)
	if err := s.publish.Send(ctx, &nats.Msg{Subject: subject, Header: header, Data: msg.Data}, id); err != nil {
		return again, err
	}
	return delivery.Ack, nil
}
