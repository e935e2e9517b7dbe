package bus

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
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

// Shapes are the shapes by the names of their kinds, see Kinds.
type Shapes map[string]Shape

// kindNames are the kinds as the configuration calls them.
var kindNames = map[size]string{
	sizeEvents: "events", sizeCommands: "commands", sizeResults: "results", sizeDead: "dead", sizeLedger: "ledger", sizeFiles: "files",
	sizeAnswers: "answers", sizeOriginals: "originals", sizeAdvisories: "advisories", sizeReconcile: "reconcile",
}

// DefaultDuplicateWindow is how long a stream recognises a message id if nobody says otherwise. It spans the retries of a
// publish and of a sender, and bounds what the server must remember.
const DefaultDuplicateWindow = 10 * time.Minute

// Bounds of the window. A shorter one ends before the attempts of one publish do.
const leastWindow, mostWindow = 10 * time.Second, 24 * time.Hour

// window is how long the streams recognise a message id.
func (c Config) window() time.Duration { return cmp.Or(c.DuplicateWindow, DefaultDuplicateWindow) }

func (c Config) shape(s size) Shape { return c.Shapes[kindNames[s]] }

func (c Config) replicas(s size) int { return cmp.Or(c.shape(s).Replicas, c.Replicas) }

func (c Config) placement(s size) *jetstream.Placement {
	shape := c.shape(s)
	if shape.Cluster == "" && len(shape.Tags) == 0 {
		return nil
	}
	return &jetstream.Placement{Cluster: shape.Cluster, Tags: shape.Tags}
}

// shaped is a stream as the configuration wants it.
func (c Config) shaped(want streamSpec) streamSpec {
	shape := c.shape(want.size)
	want.MaxAge, want.Replicas, want.Placement = cmp.Or(shape.MaxAge, want.MaxAge), c.replicas(want.size), c.placement(want.size)
	if shape.MaxMessages > 0 {
		want.MaxMsgs = shape.MaxMessages
	}
	if want.size != sizeLedger { // a bucket has a window of its own
		want.Duplicates = c.window()
	}
	if want.MaxAge > 0 {
		want.Duplicates = min(want.Duplicates, want.MaxAge)
	}
	return want
}

// shapedBucket is an object store as the configuration wants it.
func (c Config) shapedBucket(want bucketSpec) bucketSpec {
	want.TTL, want.Replicas, want.Placement = cmp.Or(c.shape(want.size).MaxAge, want.TTL), c.replicas(want.size), c.placement(want.size)
	return want
}

func (c Config) validateShapes() error {
	var errs []error
	if c.DuplicateWindow != 0 && (c.DuplicateWindow < leastWindow || c.DuplicateWindow > mostWindow) {
		errs = append(errs, fmt.Errorf("nats.duplicate_window: %s is not between %s and %s", c.DuplicateWindow, leastWindow, mostWindow))
	}
	for kind := sizeEvents; kind <= sizeReconcile; kind++ {
		name := kindNames[kind]
		s := c.Shapes[name]
		bad := func(field, format string, args ...any) {
			errs = append(errs, fmt.Errorf("nats.streams.%s.%s: %s", name, field, fmt.Sprintf(format, args...)))
		}
		if s.Replicas < 0 || s.Replicas > 5 {
			bad("replicas", "%d is not between 1 and 5, nor 0 for nats.replicas", s.Replicas)
		}
		switch {
		case s.MaxAge < 0:
			bad("max_age", "%s is negative", s.MaxAge)
		case s.MaxAge > 0 && (kind == sizeCommands || kind == sizeReconcile):
			bad("max_age", "cannot be set: what waits there must not go without a word")
		case s.MaxAge > 0 && s.MaxAge < time.Minute:
			bad("max_age", "%s is shorter than 1m", s.MaxAge)
		case s.MaxAge > 0 && kind == sizeLedger && s.MaxAge < 24*time.Hour:
			bad("max_age", "%s is shorter than 24h, in which a command may come again", s.MaxAge)
		}
		switch {
		case s.MaxMessages < 0:
			bad("max_messages", "%d is negative", s.MaxMessages)
		case s.MaxMessages > 0 && slices.Contains([]size{sizeLedger, sizeFiles, sizeAnswers, sizeOriginals, sizeReconcile}, kind):
			bad("max_messages", "cannot be set for a bucket; nats.max_bytes bounds it")
		}
		if strings.ContainsAny(s.Cluster, " \t\r\n.*>") {
			bad("cluster", "%q is no name of a cluster", s.Cluster)
		}
	}
	return errors.Join(errs...)
}
