package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// errDiffers says that a consumer of that name is there, and is not the one that was asked for.
var errDiffers = errors.New("the durable consumer differs")

// errNotPrepared says that there is no consumer that could be used, and that none is to be made.
var errNotPrepared = errors.New("somebody with the right to make it has to make the consumer first")

// lostAfter is how long a broker that is up may not know the stream or the consumer: it has just started, or they are gone.
const lostAfter = 2 * time.Second

// bind returns the consumer, and makes it if it is missing.
func (s *subscription) bind(ctx context.Context) (jetstream.Consumer, error) {
	if s.prepared {
		return s.find(ctx)
	}
	if err := s.recognise(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if name := s.nameToFind(); name != "" {
		consumer, err := s.js.Consumer(ctx, s.stream, name)
		if err == nil {
			return s.adopt(consumer)
		}
		if !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, fmt.Errorf("consumer %s: %w", name, err)
		}
	}
	consumer, err := s.js.CreateConsumer(ctx, s.stream, s.config())
	if errors.Is(err, jetstream.ErrConsumerExists) { // somebody else was faster, and makes it differently
		if consumer, err = s.js.Consumer(ctx, s.stream, s.durable); err == nil {
			return s.adopt(consumer)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("create consumer: %w", err)
	}
	return s.adopt(consumer)
}

// find returns the consumer that somebody else has made. A broker that has just started may know nothing of it yet.
func (s *subscription) find(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for began := time.Now(); ; pause(ctx, 50*time.Millisecond) {
		once, stop := context.WithTimeout(ctx, attemptTimeout)
		consumer, err := s.js.Consumer(once, s.stream, s.durable)
		stop()
		nobody := errors.Is(err, nats.ErrNoResponders)
		switch {
		case err == nil:
			return s.adopt(consumer)
		case nobody && time.Since(began) < lostAfter:
			continue
		case nobody, errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound),
			errors.Is(err, context.DeadlineExceeded) && errors.Is(s.js.Conn().LastError(), nats.ErrPermissionViolation):
			return nil, fmt.Errorf("consumer %s of stream %s: %w: %w", s.durable, s.stream, errNotPrepared, err)
		}
		return nil, fmt.Errorf("consumer %s of stream %s: %w", s.durable, s.stream, err)
	}
}

// recognise finds out whether the stream is still the one it was. Who has no right to ask for it never knows; the broker
// reports nothing then, as one does that has just started.
func (s *subscription) recognise(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for began := time.Now(); ; pause(ctx, 50*time.Millisecond) {
		once, stop := context.WithTimeout(ctx, attemptTimeout)
		stream, err := s.js.Stream(once, s.stream)
		stop()
		if err == nil {
			s.place.recognise(stream.CachedInfo().Created)
			return nil
		}
		silent := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
		nobody := errors.Is(err, nats.ErrNoResponders)
		denied := silent && errors.Is(s.js.Conn().LastError(), nats.ErrPermissionViolation)
		if _, known := s.place.known(); known || !silent && !nobody {
			return fmt.Errorf("stream %s: %w", s.stream, err)
		}
		if denied || nobody && time.Since(began) > lostAfter || ctx.Err() != nil {
			return nil
		}
	}
}

// nameToFind is the name of the consumer, if there is one or may be one.
func (s *subscription) nameToFind() string {
	if s.durable != "" {
		return s.durable
	}
	return s.name
}

// adopt checks a consumer and notes its place.
func (s *subscription) adopt(consumer jetstream.Consumer) (jetstream.Consumer, error) {
	info := consumer.CachedInfo()
	have := info.Config
	filters := have.FilterSubjects
	if have.FilterSubject != "" {
		filters = []string{have.FilterSubject}
	}
	switch {
	case !slices.Equal(filters, []string{s.filter}):
		return nil, fmt.Errorf("%w: %s of stream %s has the filter %v, want %s", errDiffers, info.Name, s.stream, filters, s.filter)
	case have.AckPolicy != jetstream.AckExplicitPolicy:
		return nil, fmt.Errorf("%w: %s of stream %s has the ack policy %v, want %v", errDiffers, info.Name, s.stream,
			have.AckPolicy, jetstream.AckExplicitPolicy)
	case have.MaxAckPending > s.inFlight || have.MaxAckPending < 1:
		return nil, fmt.Errorf("%w: %s of stream %s has a MaxAckPending of %d, want %d", errDiffers, info.Name, s.stream,
			have.MaxAckPending, s.inFlight)
	case have.MaxWaiting < s.inFlight:
		return nil, fmt.Errorf("%w: %s of stream %s has a MaxWaiting of %d, want %d", errDiffers, info.Name, s.stream,
			have.MaxWaiting, s.inFlight)
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
func (s *subscription) config() jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		Durable: s.durable, FilterSubject: s.filter, DeliverPolicy: jetstream.DeliverNewPolicy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: s.ackWait, MaxAckPending: s.inFlight, MaxDeliver: -1,
		MaxWaiting: max(minWaiting, sharers*s.inFlight),
	}
	if s.durable == "" {
		cfg.InactiveThreshold = 5 * time.Minute // so long the broker keeps it while nobody pulls
	}
	switch next := s.place.next(s.inFlight > 1); {
	case next > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, next
	case s.since != nil && s.since.IsZero():
		cfg.DeliverPolicy = jetstream.DeliverAllPolicy
	case s.since != nil:
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, s.since
	}
	return cfg
}

// leave takes away a consumer that nobody can come back to. The broker does so too, after a while.
func (s *subscription) leave(ctx context.Context) {
	if s.durable != "" || s.name == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptTimeout)
	defer cancel()
	_ = s.js.DeleteConsumer(ctx, s.stream, s.name)
}

// isOutage says whether an error is one that passes: of a connection that is away, of a broker that starts.
func isOutage(err error) bool {
	if refused, ok := natserr.Refusal(err); ok {
		return refused.Code >= 500 || natserr.Of(err) == natserr.Passing && refused.Code != 404 // a stream that is not there is a mistake
	}
	return isDisconnect(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, nats.ErrNoResponders)
}
