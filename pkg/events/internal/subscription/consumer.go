package subscription

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
)

// errDiffers says that a consumer of that name is there, and is not the one that was asked for.
var errDiffers = errors.New("the durable consumer differs")

// errNotPrepared says that there is no consumer that could be used, and that none is to be made.
var errNotPrepared = errors.New("somebody with the right to make it has to make the consumer first")

// bind returns the consumer, and makes it if it is missing.
func (s *Subscription) bind(ctx context.Context) (jetstream.Consumer, error) {
	if s.Prepared {
		return s.find(ctx)
	}
	if err := s.recognise(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if name := s.nameToFind(); name != "" {
		consumer, err := s.JS.Consumer(ctx, s.Stream, name)
		if err == nil {
			return s.adopt(consumer)
		}
		if !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, fmt.Errorf("consumer %s: %w", name, err)
		}
	}
	consumer, err := s.JS.CreateConsumer(ctx, s.Stream, s.config())
	if errors.Is(err, jetstream.ErrConsumerExists) { // somebody else was faster, and makes it differently
		if consumer, err = s.JS.Consumer(ctx, s.Stream, s.Durable); err == nil {
			return s.adopt(consumer)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("create consumer: %w", err)
	}
	return s.adopt(consumer)
}

// find returns the consumer that somebody else has made. A broker that has just started may know nothing of it yet.
func (s *Subscription) find(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for began := time.Now(); ; delivery.Pause(ctx, 50*time.Millisecond) {
		once, stop := context.WithTimeout(ctx, delivery.AttemptTimeout)
		consumer, err := s.JS.Consumer(once, s.Stream, s.Durable)
		stop()
		nobody := errors.Is(err, nats.ErrNoResponders)
		switch {
		case err == nil:
			return s.adopt(consumer)
		case nobody && time.Since(began) < delivery.LostAfter:
			continue
		case nobody, errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound),
			errors.Is(err, context.DeadlineExceeded) && errors.Is(s.JS.Conn().LastError(), nats.ErrPermissionViolation):
			return nil, fmt.Errorf("consumer %s of stream %s: %w: %w", s.Durable, s.Stream, errNotPrepared, err)
		}
		return nil, fmt.Errorf("consumer %s of stream %s: %w", s.Durable, s.Stream, err)
	}
}

// recognise finds out whether the stream is still the one it was. Who has no right to ask for it never knows; the broker
// reports nothing then, as one does that has just started.
func (s *Subscription) recognise(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for began := time.Now(); ; delivery.Pause(ctx, 50*time.Millisecond) {
		once, stop := context.WithTimeout(ctx, delivery.AttemptTimeout)
		stream, err := s.JS.Stream(once, s.Stream)
		stop()
		if err == nil {
			s.place.recognise(stream.CachedInfo().Created)
			return nil
		}
		silent := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
		nobody := errors.Is(err, nats.ErrNoResponders)
		denied := silent && errors.Is(s.JS.Conn().LastError(), nats.ErrPermissionViolation)
		if _, known := s.place.known(); known || !silent && !nobody {
			return fmt.Errorf("stream %s: %w", s.Stream, err)
		}
		if denied || nobody && time.Since(began) > delivery.LostAfter || ctx.Err() != nil {
			return nil
		}
	}
}

// nameToFind is the name of the consumer, if there is one or may be one.
func (s *Subscription) nameToFind() string {
	if s.Durable != "" {
		return s.Durable
	}
	return s.name
}

// adopt checks a consumer and notes its place.
func (s *Subscription) adopt(consumer jetstream.Consumer) (jetstream.Consumer, error) {
	info := consumer.CachedInfo()
	have := info.Config
	filters := have.FilterSubjects
	if have.FilterSubject != "" {
		filters = []string{have.FilterSubject}
	}
	switch {
	case !slices.Equal(filters, []string{s.Filter}):
		return nil, fmt.Errorf("%w: %s of stream %s has the filter %v, want %s", errDiffers, info.Name, s.Stream, filters, s.Filter)
	case have.AckPolicy != jetstream.AckExplicitPolicy:
		return nil, fmt.Errorf("%w: %s of stream %s has the ack policy %v, want %v", errDiffers, info.Name, s.Stream,
			have.AckPolicy, jetstream.AckExplicitPolicy)
	case have.MaxAckPending > s.InFlight || have.MaxAckPending < 1:
		return nil, fmt.Errorf("%w: %s of stream %s has a MaxAckPending of %d, want %d", errDiffers, info.Name, s.Stream,
			have.MaxAckPending, s.InFlight)
	case have.MaxWaiting < s.InFlight:
		return nil, fmt.Errorf("%w: %s of stream %s has a MaxWaiting of %d, want %d", errDiffers, info.Name, s.Stream,
			have.MaxWaiting, s.InFlight)
	}
	s.name = info.Name
	s.place.sync(info)
	return consumer, nil
}

const (
	// minWaiting is how many requests for an event the broker keeps of a consumer, unless its configuration says otherwise.
	minWaiting = 512
	// sharers is how many programs may share a durable consumer that they have filled with requests.
	sharers = 4
)

// config is that of a consumer that is to be made.
func (s *Subscription) config() jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		Durable: s.Durable, FilterSubject: s.Filter, DeliverPolicy: jetstream.DeliverNewPolicy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: s.InFlight, MaxDeliver: -1,
		MaxWaiting: max(minWaiting, sharers*s.InFlight),
	}
	if s.Durable == "" {
		cfg.InactiveThreshold = 5 * time.Minute // so long the broker keeps it while nobody pulls
	}
	switch next := s.place.next(s.InFlight > 1); {
	case next > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, next
	case s.Since != nil && s.Since.IsZero():
		cfg.DeliverPolicy = jetstream.DeliverAllPolicy
	case s.Since != nil:
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, s.Since
	}
	return cfg
}

// leave takes away a consumer that nobody can come back to. The broker does so too, after a while.
func (s *Subscription) leave(ctx context.Context) {
	if s.Durable != "" || s.name == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), delivery.AttemptTimeout)
	defer cancel()
	_ = s.JS.DeleteConsumer(ctx, s.Stream, s.name)
}
