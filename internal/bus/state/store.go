package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/diff"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// ErrOvertaken says that somebody else has written an object's entry or change meanwhile: it has to be looked at again.
var ErrOvertaken = errors.New("mirror: somebody else has written the object meanwhile")

// Conn is what the store needs of the connection to NATS.
type Conn interface {
	JetStream() jetstream.JetStream
	Settings() bus.Config
	Health() *health.Health
}

// Publisher publishes changes.
type Publisher interface {
	// Store stores a message under an id and returns its place in the stream of its subject.
	Store(ctx context.Context, msg *nats.Msg, id string) (sequence uint64, err error)
}

// Store is the state of the objects of one cloud, and the stream of their changes. It has one writer at a time, by a lease; one that
// has lost the lease without knowing it writes nothing.
type Store struct {
	conn      Conn
	publisher Publisher
	prefix    events.Prefix
	cloud     string
	bucket    string
	changes   string
}

// New returns the store of a cloud.
func New(conn Conn, publisher Publisher, cloud string) *Store {
	p := conn.Settings().Prefix
	return &Store{conn: conn, publisher: publisher, prefix: p, cloud: cloud, bucket: change.Bucket(p, cloud), changes: change.Stream(p, cloud)}
}

// Bucket is the name of the bucket.
func (s *Store) Bucket() string { return s.bucket }

// Known is what is known of an object.
type Known struct {
	// Resource and ID name it.
	Resource, ID string
	// Object is what subscribers know, nil if that is that there is none. Text is the entry, nil if the object is gone or was never seen.
	Object diff.Object
	Text   []byte
	// Revision is that of the entry or of its delete marker, 0 if there was never one.
	Revision uint64
	// Status is why it is gone: 404, or 403 for one that may not be read. It is 0 for an object that is there.
	Status int
	// Read is when the entry was read at factro, Change the place of the change that led to it.
	Read   time.Time
	Change uint64
	// Dropped says that the entry is not all that factro answered.
	Dropped bool

	lastChange uint64 // the place of the last change of the object, 0 for none
	pending    bool   // that change has no entry yet
}

// Get returns what is known of an object. What a crash has left between a change and its entry is known.
func (s *Store) Get(ctx context.Context, resource, id string) (Known, error) {
	k, at, err := s.entry(ctx, resource, id)
	if err != nil {
		return k, err
	}
	last, err := s.last(ctx, s.changes, change.Filter(s.prefix, s.cloud, resource, id, events.Any))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return k, nil
	}
	if err != nil {
		return k, fmt.Errorf("mirror: read the last change: %w", err)
	}
	k.lastChange = last.Sequence
	from, err := strconv.ParseUint(delivery.Header(last.Header).Get(change.HeaderStateFrom), 10, 64)
	if err != nil || from != k.Revision || k.Change == last.Sequence || last.Time.Before(at) {
		return k, nil //nolint:nilerr // a change without that header is not one of the bridge's
	}
	var d struct {
		diff.Difference
		Status int `json:"status"`
	}
	if err := json.Unmarshal(last.Data, &d); err != nil {
		return k, fmt.Errorf("mirror: the last change of %s %s: %w", resource, id, err)
	}
	k.pending, k.Change, k.Status, k.Read = true, last.Sequence, d.Status, readOf(last)
	if strings.HasSuffix(last.Subject, "."+change.Deleted) {
		k.Object = nil
	} else {
		k.Object = diff.Fold(k.Object, d.Difference)
	}
	return k, nil
}

// readOf is when the object of a change was read.
func readOf(m *jetstream.RawStreamMsg) time.Time {
	if e, err := events.FromMsg(m.Header, m.Data); err == nil && !e.Time().IsZero() {
		return e.Time()
	}
	return m.Time // not one of the bridge's
}

// Entry is Get without a look at the changes.
func (s *Store) Entry(ctx context.Context, resource, id string) (Known, error) {
	k, _, err := s.entry(ctx, resource, id)
	return k, err
}

// entry returns the entry, and when it was written.
func (s *Store) entry(ctx context.Context, resource, id string) (k Known, at time.Time, err error) {
	k = Known{Resource: resource, ID: id}
	m, err := s.last(ctx, "KV_"+s.bucket, s.subject(resource, id))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return k, at, nil
	}
	if err != nil {
		return k, at, fmt.Errorf("mirror: read the state: %w", err)
	}
	h := delivery.Header(m.Header)
	k.Revision = m.Sequence
	k.Read, _ = time.Parse(time.RFC3339Nano, h.Get(change.HeaderReadAt)) // zero if somebody else has written it
	k.Change, _ = strconv.ParseUint(h.Get(change.HeaderChange), 10, 64)  // 0 is none
	if h.Get(kvOperation) != "" {
		k.Status, _ = strconv.Atoi(h.Get(change.HeaderStatus)) // 0 if somebody else has deleted it
		return k, m.Time, nil
	}
	k.Text, k.Dropped = m.Data, h.Get(change.HeaderDropped) != ""
	if k.Object, err = diff.Parse(m.Data); err != nil {
		k.Object = nil // not one of ours: it is written again
	}
	return k, m.Time, nil
}

const (
	kvOperation = "KV-Operation"
	kvDelete    = "DEL"

	readTimeout  = time.Second
	readAttempts = 3
)

func (s *Store) last(ctx context.Context, stream, subject string) (m *jetstream.RawStreamMsg, err error) {
	for range readAttempts {
		attempt, cancel := context.WithTimeout(ctx, readTimeout)
		m, err = stored.On(s.conn).Last(attempt, stream, subject)
		cancel()
		if err == nil || errors.Is(err, jetstream.ErrMsgNotFound) || ctx.Err() != nil || natserr.Of(err) == natserr.Permanent {
			break
		}
	}
	return m, err
}

func (s *Store) subject(resource, id string) string {
	return "$KV." + s.bucket + "." + change.Key(s.cloud, resource, id)
}

// Reading says how and why an object was read.
type Reading struct {
	// At is when the read began.
	At time.Time
	// Origin is one of change.OriginEvent and the others.
	Origin string
	// Causes are the ids of the events that led to it.
	Causes []string
	// Dropped says that the entry is not all that factro answered.
	Dropped bool
}

// Write makes text the entry of an object. A change that was published for it has a place, else 0.
func (s *Store) Write(ctx context.Context, k Known, text []byte, r Reading, sequence uint64) error {
	return s.write(ctx, k, text, s.headers(r, sequence))
}

// Remove makes the object one that is gone, for a status of factro.
func (s *Store) Remove(ctx context.Context, k Known, status int, r Reading, sequence uint64) error {
	h := s.headers(r, sequence)
	h[kvOperation], h[change.HeaderStatus] = []string{kvDelete}, []string{strconv.Itoa(status)}
	return s.write(ctx, k, nil, h)
}

// Settle writes the entry that the pending change of an object leads to, and returns what is known then.
func (s *Store) Settle(ctx context.Context, k Known) (Known, error) {
	if !k.pending {
		return k, nil
	}
	// Fields that are no part of a change may be older than that, so an object is not all that factro answered.
	r := Reading{At: k.Read, Origin: change.OriginVerify, Dropped: k.Object != nil}
	var err error
	if k.Object == nil {
		err = s.Remove(ctx, k, k.Status, r, k.Change)
	} else {
		var text []byte
		if text, err = json.Marshal(k.Object); err != nil {
			return k, fmt.Errorf("mirror: %w", err)
		}
		err = s.Write(ctx, k, text, r, k.Change)
	}
	if err != nil {
		return k, err
	}
	return s.Get(ctx, k.Resource, k.ID)
}

func (*Store) headers(r Reading, sequence uint64) nats.Header {
	h := nats.Header{change.HeaderReadAt: {r.At.UTC().Format(time.RFC3339Nano)}, change.HeaderOrigin: {r.Origin}}
	if len(r.Causes) > 0 {
		h[change.HeaderCause] = []string{Causes(r.Causes)}
	}
	if r.Dropped {
		h[change.HeaderDropped] = []string{"true"}
	}
	if sequence > 0 {
		h[change.HeaderChange] = []string{strconv.FormatUint(sequence, 10)}
	}
	return h
}

func (s *Store) write(ctx context.Context, k Known, text []byte, h nats.Header) error {
	h[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(k.Revision, 10)}
	subject := s.subject(k.Resource, k.ID)
	if root := s.conn.Settings().APIRoot(); root != dial.DefaultAPI { // where the server, or an import, takes it to the bucket
		subject = root + "." + subject
	}
	ctx, cancel := context.WithTimeout(ctx, bus.AttemptTimeout)
	defer cancel()
	_, err := natserr.Publish(ctx, s.conn.JetStream(), &nats.Msg{Subject: subject, Header: h, Data: text}, "KV_"+s.bucket)
	return overtaken("write the state", err)
}

// Publish stores a change of an object, and returns its place in the stream. It fails if there was another change since Get.
func (s *Store) Publish(ctx context.Context, k Known, what string, whole bool, e event.Event) (uint64, error) {
	msg, err := events.ToMsg(change.Subject(s.prefix, s.cloud, k.Resource, k.ID, what), e)
	if err != nil {
		return 0, fmt.Errorf("mirror: a change: %w", err)
	}
	msg.Header[change.HeaderStateFrom] = []string{strconv.FormatUint(k.Revision, 10)}
	if whole {
		msg.Header[change.HeaderWhole] = []string{"true"}
	}
	msg.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(k.lastChange, 10)}
	msg.Header[jetstream.ExpectedLastSubjSeqSubjHeader] = []string{change.Filter(s.prefix, s.cloud, k.Resource, k.ID, events.Any)}
	sequence, err := s.publisher.Store(ctx, msg, e.ID())
	return sequence, overtaken("publish a change", err)
}

func overtaken(what string, err error) error {
	switch {
	case natserr.Conflict(err):
		return fmt.Errorf("%w: %w", ErrOvertaken, err)
	case err != nil:
		return fmt.Errorf("mirror: %s: %w", what, err)
	}
	return nil
}
