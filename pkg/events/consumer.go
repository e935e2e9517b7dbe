package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// errDiffers says that a consumer of that name is there, and is not the one that was asked for.
var errDiffers = errors.New("the durable consumer differs")

// bind returns the consumer, and makes it if it is missing.
func (s *subscription) bind(ctx context.Context) (jetstream.Consumer, error) {
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
	if stream, err := s.js.Stream(ctx, s.stream); err == nil { // else we may not ask
		s.place.check(stream.CachedInfo().State.LastSeq)
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
		return nil, fmt.Errorf("%w: %s of stream %s has up to %d events in flight, want %d", errDiffers, info.Name, s.stream,
			have.MaxAckPending, s.inFlight)
	}
	s.name = info.Name
	s.place.begin(info.AckFloor.Stream + 1)
	return consumer, nil
}

// config is that of a consumer that is to be made.
func (s *subscription) config() jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		Durable: s.durable, FilterSubject: s.filter, DeliverPolicy: jetstream.DeliverNewPolicy,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: s.ackWait, MaxAckPending: s.inFlight, MaxDeliver: -1,
	}
	if s.durable == "" {
		cfg.InactiveThreshold = 5 * time.Minute // so long the broker keeps it while nobody pulls
	}
	switch next := s.place.next(); {
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
	if refused, ok := errors.AsType[*jetstream.APIError](err); ok {
		return refused.Code >= 500
	}
	return isDisconnect(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, nats.ErrNoResponders)
}

// place is how far a subscription has come in its stream, so that a consumer that is gone can be followed by another.
type place struct {
	mu     sync.Mutex
	behind uint64          // the sequence after the last event that was delivered; 0 if there was no consumer yet
	open   map[uint64]bool // those that have no verdict yet
}

func (p *place) begin(next uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.behind == 0 {
		p.behind = next
	}
}

func (p *place) delivered(sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = map[uint64]bool{}
	}
	p.open[sequence] = true
	p.behind = max(p.behind, sequence+1)
}

func (p *place) settled(sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, sequence)
}

// check begins with the first event if the stream has not come as far: then it is another one of that name.
func (p *place) check(last uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.behind > last+1 {
		p.behind, p.open = 1, nil
	}
}

// next is the first event that has no verdict yet, or 0 if there was no consumer yet.
func (p *place) next() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.behind
	for sequence := range p.open {
		next = min(next, sequence)
	}
	return next
}
