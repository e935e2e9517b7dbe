package change

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/stored"
)

// State is an object as the mirror knows it.
type State struct {
	Cloud, Resource, ID string
	// Revision is the one of the entry in its bucket. A later state of an object has a greater one.
	Revision uint64
	// Data is the object, byte for byte as the Core API sent it, without the fields that the bridge's configuration drops. It is empty
	// if the object is gone.
	Data json.RawMessage
	// ReadAt is when the bridge began to read it, by its clock.
	ReadAt time.Time
	// Origin is why it was read: [OriginEvent], [OriginSnapshot] or [OriginVerify].
	Origin string
	// Causes are the ids of the events that led to it, at most [MostCauses].
	Causes []string
	// Change is the sequence of the change that led to this state, 0 if there was none, as in the first snapshot.
	Change uint64
	// Gone says that factro does not show the object. Status is then 404, or 403 if the key may not read it.
	Gone   bool
	Status int
}

// ErrNotFound says that there is no such object: the mirror has never seen it, or it is gone.
var ErrNotFound = errors.New("there is no such object")

// Option changes what [Get] reads, or how [Watch] goes on.
type Option func(*options)

type options struct {
	prefix    events.Prefix
	id        string
	onCurrent func()
	log       *slog.Logger
}

func optionsOf(opts []Option) options {
	o := options{prefix: events.DefaultPrefix, id: events.Any, onCurrent: func() {}, log: slog.Default()}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// WithPrefix sets the first token of all subjects, if the bridge is configured with another than [events.DefaultPrefix].
func WithPrefix(p events.Prefix) Option { return func(o *options) { o.prefix = p } }

// Get reads one object. It asks the bucket and not factro, so the answer is as old as the mirror is behind: see ReadAt.
//
// The error is [ErrNotFound] if there is none. Of an object that is gone it comes with the state that says so. Get needs the right to
// publish to
//
//	$JS.API.DIRECT.GET.KV_<bucket>
func Get(ctx context.Context, js jetstream.JetStream, cloud, resource, id string, opts ...Option) (State, error) {
	bucket := Bucket(optionsOf(opts).prefix, cloud)
	what := resource + " " + binding.Quote(id) + " of " + cloud
	if events.Token(id) != id || events.Token(resource) != resource { // several objects share such a key
		return State{}, fmt.Errorf("state of %s: it can be no key of the bucket: %w", what, ErrNotFound)
	}
	reader := stored.Reader{JS: js, Stream: streamOf(bucket)}
	found, err := reader.Get(ctx, stored.Request{LastFor: subjectOf(bucket, Key(cloud, resource, id))})
	switch {
	case errors.Is(err, stored.ErrNone):
		return State{}, fmt.Errorf("state of %s: %w", what, ErrNotFound)
	case errors.Is(err, stored.ErrNoStream):
		return State{}, fmt.Errorf("state of %s: the bucket %s cannot be read; does a bridge with the role mirror serve the cloud? %w", what, bucket, err)
	case err != nil:
		return State{}, fmt.Errorf("state of %s: %w", what, err)
	}
	s := stateOf(bucket, found[0].Subject, found[0].Header, found[0].Data, found[0].Sequence)
	if s.Gone {
		return s, fmt.Errorf("state of %s: factro answered %d at %s: %w", what, s.Status, s.ReadAt.Format(time.RFC3339), ErrNotFound)
	}
	return s, nil
}

// As decodes an object, for example into [github.com/factro-bridge/factro-bridge/pkg/events/payload.Task]. A number of no type of its
// own keeps all its digits, as a [json.Number]. The error is [ErrNotFound] if the object is gone.
func As[T any](s State) (T, error) {
	var v, none T
	name := s.Resource + " " + binding.Quote(s.ID)
	if s.Gone {
		return none, fmt.Errorf("%s is gone: %w", name, ErrNotFound)
	}
	d := json.NewDecoder(bytes.NewReader(s.Data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return none, fmt.Errorf("data of %s: %w", name, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return none, fmt.Errorf("data of %s: there is more than one value", name)
	}
	return v, nil
}

// streamOf is the stream that a bucket is.
func streamOf(bucket string) string { return "KV_" + bucket }

// subjectOf is where that stream has a key.
func subjectOf(bucket, key string) string { return "$KV." + bucket + "." + key }

// stateOf reads an entry. What is not well formed in its headers counts as absent: the object is of more use than none.
func stateOf(bucket, subject string, header nats.Header, data []byte, revision uint64) State {
	s := State{Revision: revision, Origin: header.Get(HeaderOrigin), Causes: strings.Fields(header.Get(HeaderCause))}
	key := strings.SplitN(strings.TrimPrefix(subject, subjectOf(bucket, "")), ".", 3)
	key = append(key, "", "")
	s.Cloud, s.Resource, s.ID = key[0], key[1], key[2]
	s.ReadAt, _ = time.Parse(time.RFC3339Nano, header.Get(HeaderReadAt))
	s.Change, _ = strconv.ParseUint(header.Get(HeaderChange), 10, 64)
	if s.Gone = header.Get("KV-Operation") != "" || header.Get("Nats-Marker-Reason") != ""; s.Gone {
		s.Status, _ = strconv.Atoi(header.Get(HeaderStatus))
		return s
	}
	s.Data = data
	return s
}
