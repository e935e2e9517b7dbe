package topology

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Shape says how the streams or buckets of one kind are made, beside their size. A zero stands for the default.
type Shape struct {
	// MaxAge is how long a message is kept, MaxMessages how many there may be.
	MaxAge      time.Duration
	MaxMessages int64
	// Replicas is the number of servers that hold it; 0 for Config.Replicas.
	Replicas int
	// Cluster and Tags say which servers may hold it.
	Cluster string
	Tags    []string
}

// Shapes are the shapes by the names of their kinds, see [Kind.Name].
type Shapes map[string]Shape

// DefaultDuplicateWindow is how long a stream recognises a message id if nobody says otherwise. It spans the retries of a
// publish and of a sender, and bounds what the server must remember.
const DefaultDuplicateWindow = 10 * time.Minute

// Bounds of the window. A shorter one ends before the attempts of one publish do.
const leastWindow, mostWindow = 10 * time.Second, 24 * time.Hour

// Plan is what the operator wants of all streams and buckets.
type Plan struct {
	Prefix events.Prefix
	Sizes  Sizes
	Shapes Shapes
	// Replicas is the number of servers that hold each stream, unless its shape says otherwise.
	Replicas int
	// DuplicateWindow is how long a stream recognises a message id; 0 for [DefaultDuplicateWindow].
	DuplicateWindow time.Duration
}

// Window is how long the streams recognise a message id.
func (p Plan) Window() time.Duration { return cmp.Or(p.DuplicateWindow, DefaultDuplicateWindow) }

func (p Plan) shape(k Kind) Shape { return p.Shapes[k.Name()] }

func (p Plan) replicas(k Kind) int { return cmp.Or(p.shape(k).Replicas, p.Replicas) }

func (p Plan) placement(k Kind) *jetstream.Placement {
	shape := p.shape(k)
	if shape.Cluster == "" && len(shape.Tags) == 0 {
		return nil
	}
	return &jetstream.Placement{Cluster: shape.Cluster, Tags: shape.Tags}
}

// Stream is a stream of the contract as the plan wants it.
func (p Plan) Stream(want Stream) Stream {
	shape := p.shape(want.Kind)
	want.MaxAge, want.Replicas, want.Placement = cmp.Or(shape.MaxAge, want.MaxAge), p.replicas(want.Kind), p.placement(want.Kind)
	if shape.MaxMessages > 0 {
		want.MaxMsgs = shape.MaxMessages
	}
	if !slices.Contains([]Kind{Ledger, Keys, State}, want.Kind) { // a bucket has a window of its own
		want.Duplicates = p.Window()
	}
	if want.MaxAge > 0 {
		want.Duplicates = min(want.Duplicates, want.MaxAge)
	}
	return want
}

// bucket is an object store as the plan wants it.
func (p Plan) bucket(want Bucket) Bucket {
	want.TTL, want.Replicas, want.Placement = cmp.Or(p.shape(want.Kind).MaxAge, want.TTL), p.replicas(want.Kind), p.placement(want.Kind)
	return want
}

// Validate says what of the plan cannot be, each with its path in the configuration.
func (p Plan) Validate() error {
	errs := []error{p.Sizes.Validate()}
	if p.DuplicateWindow != 0 && (p.DuplicateWindow < leastWindow || p.DuplicateWindow > mostWindow) {
		errs = append(errs, fmt.Errorf("nats.duplicate_window: %s is not between %s and %s", p.DuplicateWindow, leastWindow, mostWindow))
	}
	for kind := Events; kind <= Reconcile; kind++ {
		name := kind.Name()
		s := p.Shapes[name]
		bad := func(field, format string, args ...any) {
			errs = append(errs, fmt.Errorf("nats.streams.%s.%s: %s", name, field, fmt.Sprintf(format, args...)))
		}
		if s.Replicas < 0 || s.Replicas > 5 {
			bad("replicas", "%d is not between 1 and 5, nor 0 for nats.replicas", s.Replicas)
		}
		switch {
		case s.MaxAge < 0:
			bad("max_age", "%s is negative", s.MaxAge)
		case s.MaxAge > 0 && slices.Contains([]Kind{Commands, Delayed, Control, Reconcile, Keys}, kind):
			bad("max_age", "cannot be set: what waits there must not go without a word")
		case s.MaxAge > 0 && kind == State:
			bad("max_age", "cannot be set: an object that nobody changes would be missing after that time")
		case s.MaxAge > 0 && s.MaxAge < time.Minute:
			bad("max_age", "%s is shorter than 1m", s.MaxAge)
		case s.MaxAge > 0 && kind == Ledger && s.MaxAge < 24*time.Hour:
			bad("max_age", "%s is shorter than 24h, in which a command may come again", s.MaxAge)
		}
		switch {
		case s.MaxMessages < 0:
			bad("max_messages", "%d is negative", s.MaxMessages)
		case s.MaxMessages > 0 && kind == Delayed:
			bad("max_messages", "cannot be set: the stream would drop the oldest command; nats.max_bytes.delayed bounds it")
		case s.MaxMessages > 0 && slices.Contains([]Kind{Ledger, Files, Answers, Originals, Keys, State, Control, Reconcile}, kind):
			bad("max_messages", "cannot be set for a bucket; nats.max_bytes bounds it")
		}
		if strings.ContainsAny(s.Cluster, " \t\r\n.*>") {
			bad("cluster", "%q is no name of a cluster", s.Cluster)
		}
	}
	return errors.Join(errs...)
}
