package deadletter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter/pack"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Conn is what this package needs of the connection.
type Conn interface {
	session
	state
}

// Publisher stores messages in the streams that take their subjects.
type Publisher interface {
	// Send stores a message, and so does Store, which returns its place in the stream of its subject.
	Send(ctx context.Context, msg *nats.Msg, id string) error
	Store(ctx context.Context, msg *nats.Msg, id string) (sequence uint64, err error)
	// Traced runs a publish in a span of its own, and counts it.
	Traced(ctx context.Context, subject string, publish func(context.Context) error) error
	// ExpectDeadLetters begins a count of dead letters at 0.
	ExpectDeadLetters(kind, code string)
}

type state interface {
	Settings() bus.Config
	Health() *health.Health
}

type session interface {
	NATS() *nats.Conn
	AwaitUp(ctx context.Context) error
	StreamsReady(cloud string) <-chan struct{}
}

// Originals gives access to the object stores for the originals of dead letters.
type Originals interface {
	// Find looks the object store of a cloud up.
	Find(ctx context.Context, cloud string) (jetstream.ObjectStore, error)
	// Ensure is Find, and creates the object store if it is missing and the bridge may.
	Ensure(ctx context.Context, cloud string) (jetstream.ObjectStore, error)
}

// ErrNotKept says that the object store does not take the original of a dead letter, so that only a part of it could be kept.
var ErrNotKept = errors.New("the original is not kept")

// PendingPublish is a message and the id under which it is to be published.
type PendingPublish = pack.PendingPublish

// Store stores dead letters.
type Store struct {
	conn    Conn
	publish Publisher
	stores  Originals
	prefix  events.Prefix
	log     *slog.Logger
	metrics metrics
	parked  chan struct{} // has a token when something was parked

	recoverEvery time.Duration // the constant of this name
}

// Option changes how a store works.
type Option func(*Store)

// WithRecovery changes how often Recover tries what is parked, so that a test need not wait for it.
func WithRecovery(every time.Duration) Option { return func(s *Store) { s.recoverEvery = every } }

// New returns a store on a connection.
func New(ctx context.Context, conn Conn, publisher Publisher, originals Originals, log *slog.Logger, options ...Option) (*Store, error) {
	s := &Store{conn: conn, publish: publisher, stores: originals, prefix: conn.Settings().Prefix, log: log, parked: make(chan struct{}, 1), recoverEvery: recoverEvery}
	for _, change := range options {
		change(s)
	}
	var err error
	if s.metrics, err = newMetrics(ctx); err != nil {
		return nil, err
	}
	for _, l := range needPeople {
		publisher.ExpectDeadLetters(l.kind, l.code)
	}
	return s, nil
}

// Quarantine stores bytes that could not be made into an event, with the reason, among the dead letters. request are the
// headers that they came with, without secrets; nil if there are none.
func (s *Store) Quarantine(ctx context.Context, subject, id, code string, reason error, data []byte, request http.Header) error {
	return s.publish.Traced(ctx, subject, func(ctx context.Context) error {
		_, err := s.put(ctx, UnusableWebhook(subject, code, reason, data, request), id, false)
		return err
	})
}

// GiveUp stores a dead letter, or parks it. With whole it returns ErrNotKept, and stores nothing, if only a part of the
// original could be kept.
func (s *Store) GiveUp(ctx context.Context, dead *nats.Msg, id string, whole bool) error {
	_, err := s.giveUp(ctx, dead, id, whole)
	return err
}

// GiveUpCommand is GiveUp for a command. It returns the place of the dead letter in its stream, 0 if that is not known, as when it is
// parked.
func (s *Store) GiveUpCommand(ctx context.Context, letter PendingPublish) (sequence uint64, _ error) {
	return s.giveUp(ctx, letter.Msg, letter.ID, false)
}

func (s *Store) giveUp(ctx context.Context, dead *nats.Msg, id string, whole bool) (sequence uint64, _ error) {
	sequence, err := s.put(ctx, dead, id, whole)
	if err == nil || errors.Is(err, ErrNotKept) || !Unpublishable(err) {
		return sequence, err
	}
	return 0, s.Park(ctx, topology.SubjectToken(dead.Subject, 3), err, PendingPublish{ID: id, Msg: dead})
}

// Unpublishable says whether waiting for the broker's answer to change is useless, or would take longer than others can
// wait.
func Unpublishable(err error) bool {
	return publish.Permanent(err) || errors.Is(err, publish.ErrRefusing)
}

// put stores a dead letter. One that the broker never takes is shortened step by step, and the whole of it kept in the
// object store. Otherwise it would come back for ever and delay the others. The first step keeps the beginning of its data
// and what headers fit, the second only why it was given up and where the rest is. The error is publish.Permanent if not even
// that is taken.
//
// If whole is set, nothing is stored if the object store does not take the original: that is ErrNotKept.
func (s *Store) put(ctx context.Context, dead *nats.Msg, id string, whole bool) (sequence uint64, _ error) {
	id = pack.ShortID(id)
	original := &nats.Msg{Subject: dead.Subject, Data: dead.Data, Header: maps.Clone(dead.Header)} // without what sending adds
	sequence, err := s.publish.Store(ctx, dead, id)
	if !publish.Permanent(err) {
		return sequence, err
	}
	why := err
	name, err := s.keepOriginal(ctx, original, id)
	if err != nil {
		if !errors.Is(err, ErrNotKept) || whole {
			return 0, err
		}
		s.metrics.refused(ctx, originalLost)
		s.log.ErrorContext(ctx, "a dead letter does not fit into its stream, and the object store does not take the original: only a part of it is kept",
			"subject", dead.Subject, "position", delivery.Header(dead.Header).Get(topology.HeaderDeadPosition), "bytes", len(dead.Data), "refused", why, "error", err)
	}
	for _, shorten := range []func(*nats.Msg) *nats.Msg{pack.Cut, pack.Bare} {
		small := shorten(dead)
		if name != "" {
			small.Header[topology.HeaderDeadOriginal] = []string{name}
		}
		if sequence, err = s.publish.Store(ctx, small, id); !publish.Permanent(err) {
			return sequence, err
		}
	}
	return 0, err
}

// notKept wraps why an original is not kept.
func notKept(err error) error { return fmt.Errorf("%w: %w", ErrNotKept, err) }
