package spool

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool/disk"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool/record"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const (
	// directTimeout bounds how long a webhook waits for the broker before it goes to the spool. While a broker hangs, each
	// takes one of the places that http.max_in_flight gives for as long.
	directTimeout = time.Second
	// lockPatience is how long a webhook may have waited for an earlier one of its entity and still be tried at the broker.
	// Behind a slow one the queue would grow until its end has no time left; the spool is quicker.
	lockPatience = 500 * time.Millisecond
)

// Publish stores an event in the stream of its destination, or in the spool, and returns when it is durable. storedAs is the id
// under which it is stored, which is another one than its own if that is the id of an event with another body.
// events.ErrTooLarge says that no message can hold it. Other errors have a method RetryAfter that says how long a sender should
// wait, if the spool knows.
func (s *Spool) Publish(ctx context.Context, to events.EventAddress, e event.Event, id string) (storedAs string, spooled bool, err error) {
	subject := s.cfg.Prefix.Event(to.Cloud, to.Resource, to.ID, to.Action)
	e, id = s.named(ctx, subject, e, id)
	storedAs = e.ID()
	spooled, err = s.keep(ctx, pendingPublish{
		cloud: to.Cloud, entity: record.EntityOf(to, e.Subject()), id: id,
		direct: func(ctx context.Context) error {
			other, err := s.publisher.PublishEvent(ctx, subject, e, id)
			if other != nil {
				storedAs = identity.OwnID(e.ID(), e.Data())
				s.bodies.Correct(id, other.BodyDigest)
			}
			return err
		},
		message: func() (*nats.Msg, error) {
			msg, err := eventMessage(ctx, subject, e)
			if err != nil {
				return nil, err
			}
			return msg, s.fits(to.Cloud, msg, id)
		},
	})
	return storedAs, spooled, err
}

// Quarantine stores bytes that could not be made into an event among the dead letters of a cloud, or in the spool, with the
// reason and the headers of their request.
func (s *Spool) Quarantine(ctx context.Context, cloud, id, code string, reason error, data []byte, request http.Header) error {
	subject := s.cfg.Prefix.DeadWebhook(cloud)
	_, err := s.keep(ctx, pendingPublish{
		cloud: cloud, id: id,
		direct: func(ctx context.Context) error {
			return s.letters.Quarantine(ctx, subject, id, code, reason, data, request)
		},
		message: func() (*nats.Msg, error) {
			msg := deadletter.UnusableWebhook(subject, code, reason, data, request)
			measure.Propagator.Inject(ctx, delivery.Header(msg.Header))
			return msg, nil
		},
	})
	return err
}

// named is the event with the id under which it is to be stored, and its message id.
func (s *Spool) named(ctx context.Context, subject string, e event.Event, id string) (event.Event, string) {
	if s.bodies.First(id, e.Data()) {
		return e, id
	}
	s.publisher.ReportOtherBody(ctx, subject)
	own := e.Clone()
	own.SetID(identity.OwnID(e.ID(), e.Data()))
	own.DataEncoded = e.DataEncoded
	return own, identity.OwnID(id, e.Data())
}

// pendingPublish is what is to be stored, and the two ways to do so.
type pendingPublish struct {
	cloud, entity, id string
	// direct stores it at the broker.
	direct func(context.Context) error
	// message is what waits on the disk instead.
	message func() (*nats.Msg, error)
}

// keep stores a webhook at the broker or on the disk.
func (s *Spool) keep(ctx context.Context, p pendingPublish) (spooled bool, err error) {
	began := time.Now()
	if p.entity != "" { // one decision at a time for each entity, or a later webhook could overtake an earlier one
		lock := s.locks[maphash.String(s.seed, p.entity)%uint64(len(s.locks))]
		select {
		case lock <- struct{}{}:
			defer func() { <-lock }()
		case <-ctx.Done():
			return false, fmt.Errorf("wait for an earlier webhook of the same entity: %w", ctx.Err())
		}
	}
	if s.disk == nil {
		return false, s.direct(ctx, p)
	}
	q := s.queues.of(p.cloud)
	tried, paused := false, s.paused(p.cloud)
	if q.empty() && !paused && s.conn.Up() && time.Since(began) <= s.patience {
		tried = true
		attempt, cancel := s.part(ctx)
		err := s.direct(attempt, p)
		cancel()
		if err == nil || errors.Is(err, events.ErrTooLarge) {
			return false, err
		}
		s.log.WarnContext(ctx, "the broker does not take a webhook; it goes to the spool", "cloud", p.cloud, "error", err)
	}
	empty := q.empty()
	sure, err := s.put(ctx, q, p, tried)
	for errors.Is(err, disk.ErrClosed) && (tried || paused || !empty || !s.conn.Up()) && s.disk.AwaitRepaired(ctx) {
		sure, err = s.put(ctx, q, p, tried)
	}
	switch {
	case err == nil:
		trace.SpanFromContext(ctx).AddEvent("spooled")
		return true, nil
	case errors.Is(err, events.ErrTooLarge):
		return false, err
	case empty && sure && !tried && !paused: // nothing is before it, so it may wait for the broker
		var late error
		if late = s.direct(ctx, p); late == nil {
			return false, nil
		}
		err = errors.Join(err, late)
	}
	return false, &unavailable{err, s.throughput.RetryAfter(s.queues.waiting(), time.Now())}
}

// part is a part of the time that there is, at most half, so that some is left for the spool.
func (s *Spool) part(ctx context.Context) (context.Context, context.CancelFunc) {
	most := s.attempt
	if deadline, ok := ctx.Deadline(); ok {
		most = min(most, time.Until(deadline)/2)
	}
	return context.WithTimeout(ctx, most)
}

func (s *Spool) direct(ctx context.Context, p pendingPublish) error {
	err := p.direct(ctx)
	if err == nil {
		s.account.stored.Add(1)
	}
	return err
}

// put writes a webhook to the disk. sure says of an error that nothing was written.
func (s *Spool) put(ctx context.Context, q *cloudQueue, p pendingPublish, tried bool) (sure bool, err error) {
	msg, err := p.message()
	if err != nil {
		return true, err
	}
	if s.disk.Broken() { // Enter would wait for who opens it, perhaps for long
		return true, disk.ErrClosed
	}
	if sure, err = s.write(ctx, q, record.Pack(msg, q.cloud, p.id, tried), &s.account.written); err != nil {
		return sure, err
	}
	s.metrics.spooled.Add(ctx, 1, measure.CloudOption(q.cloud))
	return true, nil
}

// unavailable is an error that passes, and a guess when.
type unavailable struct {
	err   error
	after time.Duration
}

func (u *unavailable) Error() string             { return u.err.Error() }
func (u *unavailable) Unwrap() error             { return u.err }
func (u *unavailable) RetryAfter() time.Duration { return u.after }
