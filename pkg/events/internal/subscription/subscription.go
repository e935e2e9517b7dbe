package subscription

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

const (
	// ackWait is how long the broker waits for word of an event before it delivers it again, so how long a crash goes
	// unnoticed.
	ackWait = 30 * time.Second
	// SyncEvery is how often a subscription with many events in flight asks how far its consumer is. What was handled since
	// comes again if the consumer is lost.
	SyncEvery = 30 * time.Second
	// MaxInFlight bounds how many events a subscription has in flight. Each has a request of its own at the broker.
	MaxInFlight = 1024
)

// Subscription is a filter and the consumer that is wanted for it. Run runs it once.
type Subscription struct {
	JS jetstream.JetStream
	// Filter is what the subjects match, and Stream has them.
	Filter, Stream string
	// Handle handles a delivery and settles it. Its error says that the verdict did not reach the broker, so that the event
	// comes again.
	Handle func(context.Context, *Delivery) error
	// Durable is the name of the consumer, or "" for one that ends with the subscription.
	Durable string
	// Prepared says that the consumer is there and is never created.
	Prepared bool
	// Since is where a new consumer begins: nil is now, and the zero time is the beginning of the stream.
	Since *time.Time
	// InFlight is how many events are handled at once, from 1 to [MaxInFlight].
	InFlight int
	// SyncEvery is [SyncEvery], or another interval in tests.
	SyncEvery time.Duration
	Log       *slog.Logger

	line delivery.Line
	// name is that of the consumer, once there is one.
	name  string
	place place
	// slots has an entry for each event that is pulled or handled, and handlers waits for them.
	slots    chan struct{}
	handlers sync.WaitGroup
}

// Run binds the consumer and has its events handled, again and again until ctx ends; then it returns nil. An error says
// that there is nothing to read, or that the consumer is not the one that is wanted.
func (s *Subscription) Run(ctx context.Context) error {
	s.slots, s.line = make(chan struct{}, s.InFlight), delivery.LineOf(s.JS.Conn())
	defer s.leave(ctx)
	defer s.handlers.Wait()
	for failures := 0; ctx.Err() == nil; failures++ {
		began := time.Now()
		consumer, err := s.bind(ctx)
		switch {
		case err == nil:
			if err = s.consume(ctx, consumer); ctx.Err() == nil && time.Since(began) > time.Minute {
				failures = 0 // it worked for a while
			}
		case ctx.Err() != nil:
			return nil // the ordinary end
		case s.name == "" && !natserr.Outage(err) || errors.Is(err, errDiffers), s.name == "" && errors.Is(err, errNotPrepared):
			return err
		}
		if ctx.Err() == nil && s.JS.Conn().IsClosed() {
			return nats.ErrConnectionClosed
		}
		if ctx.Err() == nil && failures == 0 {
			s.Log.WarnContext(ctx, "events cannot be pulled; trying again", "subject", s.Filter, "error", err)
		}
		delivery.Pause(ctx, delivery.Backoff(failures))
	}
	return nil
}

// consume handles events until ctx ends or the consumer cannot be pulled from. Handlers may still run when it returns:
// one that takes long keeps nobody from another consumer.
func (s *Subscription) consume(ctx context.Context, consumer jetstream.Consumer) error {
	pulling, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	era, _ := s.place.known()
	renewEvery := consumer.CachedInfo().Config.AckWait / 3
	puller := delivery.Puller{
		Conn: s.JS.Conn(), Line: s.line, API: delivery.API(s.JS), Stream: s.Stream, Consumer: consumer.CachedInfo().Name,
		Heartbeat: delivery.Heartbeat,
	}
	var pulls sync.WaitGroup
	if s.InFlight > 1 {
		pulls.Go(func() { s.sync(pulling, consumer) })
	}
	for s.enter(pulling) {
		pulls.Add(1)
		s.handlers.Go(func() {
			defer func() { <-s.slots }()
			event, err := s.take(pulling, puller, era)
			stopping := pulling.Err() != nil
			pulls.Done()
			switch {
			case err == nil && event != nil && stopping: // it reached us while we were to stop
				_ = s.settle(ctx, event, delivery.Nak(0)) // else it comes after AckWait
			case err == nil && event != nil:
				d := &Delivery{Msg: s.place.last(event), of: s, event: event, renewEvery: renewEvery}
				if err := s.Handle(ctx, d); errors.Is(err, nats.ErrNoResponders) {
					stop(err) // the consumer is gone
				}
			case err != nil && (!errors.Is(err, delivery.ErrNoHeartbeat) || s.JS.Conn().IsConnected()):
				stop(err)
			}
		})
	}
	pulls.Wait()
	return context.Cause(pulling)
}

// enter waits until one more event may be handled, and returns false if ctx ends first.
func (s *Subscription) enter(ctx context.Context) bool {
	select {
	case s.slots <- struct{}{}:
		if ctx.Err() == nil {
			return true
		}
		<-s.slots
		return false
	case <-ctx.Done():
		return false
	}
}

// take pulls one event and notes it. The result is nil if none came, or if the event is handled already.
func (s *Subscription) take(ctx context.Context, p delivery.Puller, era int) (*taken, error) {
	msg, err := p.Next(ctx)
	if err != nil || msg == nil {
		return nil, err
	}
	return s.place.delivered(era, msg), nil
}

// sync remembers how far the consumer is, with all who share it.
func (s *Subscription) sync(ctx context.Context, consumer jetstream.Consumer) {
	for delivery.Pause(ctx, s.SyncEvery) {
		if info, err := consumer.Info(ctx); err == nil {
			s.place.sync(info)
		}
	}
}
