package deadletter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter/pack"
	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Client is what the command line needs of its connection.
type Client interface {
	JetStream() jetstream.JetStream
	Settings() bus.Config
	// PublishAcked stores a message in the stream that takes its subject.
	PublishAcked(ctx context.Context, p events.Prefix, msg *nats.Msg) (*jetstream.PubAck, error)
}

// Filter selects dead letters. An empty field means all.
type Filter struct {
	Kind, Cloud, Operation, Code string
	// ID is that of a command.
	ID string
	// Since and Until bound when it was stored, in the broker's time.
	Since, Until time.Time
	// First and Last bound the sequence, both included.
	First, Last uint64
	// Limit is how many are wanted at most.
	Limit int
	// Progress shows how many are left to be read, unless it is nil.
	Progress *progress.Task
}

// subjects returns what the broker can filter by; matches does the rest.
func (f Filter) subjects(p events.Prefix) []string {
	wild := func(s string) string {
		if s == "" || events.Token(s) != s {
			return events.Any
		}
		return s
	}
	command := string(p) + ".dead.command." + wild(f.Cloud) + ".*." + wild(f.Operation)
	webhook := string(p) + ".dead.webhook." + wild(f.Cloud)
	switch {
	case f.Kind == Webhook:
		return []string{webhook}
	case f.Kind == Command, f.Operation != "", f.ID != "":
		return []string{command}
	}
	return []string{command, webhook}
}

func (f Filter) matches(e Entry) bool {
	same := func(want, have string) bool { return want == "" || want == have }
	return same(f.Kind, e.Kind) && same(f.Cloud, e.Cloud) && same(f.Operation, e.Operation) && same(f.Code, e.Code) && same(f.ID, e.ID) &&
		(f.Until.IsZero() || !e.Time.After(f.Until)) && e.Sequence >= f.First
}

// batch is how many dead letters are held at once. Each may be as large as a message can be.
const batch = 16

// List passes the dead letters of the filter's cloud that match it to each, the oldest first. It ends at the first error of
// each. What arrives meanwhile is left out, so that a message which each sends again, and which becomes a new dead letter, is
// not listed again.
func List(ctx context.Context, c Client, p events.Prefix, f Filter, each func(Entry) error) error {
	from, to := journal.Beginning(), journal.Present()
	switch {
	case f.First > 0:
		from = journal.At(f.First)
	case !f.Since.IsZero():
		from = journal.Since(f.Since)
	}
	if f.Last > 0 {
		to = journal.Through(f.Last)
	}
	found := 0
	for m, err := range journal.New(c.JetStream()).InBatches(batch).Read(ctx, p.DeadStream(f.Cloud), from, to, f.subjects(p)...) {
		if err != nil {
			return err
		}
		f.Progress.Left(m.Pending)
		if !f.Until.IsZero() && m.Time.After(f.Until) {
			return nil
		}
		e := newEntry(p, m.Sequence, m)
		if !f.matches(e) || !f.Since.IsZero() && e.Time.Before(f.Since) {
			continue
		}
		if err := each(e); err != nil {
			return err
		}
		if found++; found == f.Limit {
			return nil
		}
	}
	return nil
}

// Last is the sequence of the newest dead letter of a cloud, 0 if there was none.
func Last(ctx context.Context, c Client, p events.Prefix, cloud string) (uint64, error) {
	stream, err := c.JetStream().Stream(ctx, p.DeadStream(cloud))
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", p.DeadStream(cloud), err)
	}
	return stream.CachedInfo().State.LastSeq, nil
}

// Get returns one dead letter, or ErrNotFound.
func Get(ctx context.Context, c Client, p events.Prefix, cloud string, sequence uint64) (Entry, error) {
	stream := p.DeadStream(cloud)
	if _, err := c.JetStream().Stream(ctx, stream); err != nil {
		return Entry{}, fmt.Errorf("stream %s: %w", stream, err)
	}
	m, err := stored.Get(ctx, c.Settings(), c.JetStream(), stream, sequence, "")
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Entry{}, fmt.Errorf("%s/%d: %w", cloud, sequence, ErrNotFound)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("dead letter %s/%d: %w", cloud, sequence, err)
	}
	header := maps.Clone(m.Header)
	maps.DeleteFunc(header, func(name string, _ []string) bool { // those that the broker adds
		return delivery.IsBrokerHeader(name)
	})
	return newEntry(p, sequence, journal.NewMessage(m.Subject, header, m.Data, m.Time)), nil
}

// Drop deletes a dead letter. One that is gone already is no error.
func Drop(ctx context.Context, c Client, p events.Prefix, cloud string, sequence uint64) error {
	stream, err := c.JetStream().Stream(ctx, p.DeadStream(cloud))
	if err == nil {
		err = stream.DeleteMsg(ctx, sequence)
	}
	if err != nil && !natserr.NoMessage(err) {
		return fmt.Errorf("delete dead letter %s/%d: %w", cloud, sequence, err)
	}
	return nil
}

// Original completes a dead letter that holds only a part of its original with the rest out of the object store. One that is
// whole is returned unchanged. objects.ErrNoFile says that the original is not there, or not any more.
func Original(ctx context.Context, c Client, p events.Prefix, e Entry) (Entry, error) {
	if e.Kept == "" {
		return e, nil
	}
	whole, err := original(ctx, c, p.OriginalBucket(e.Cloud), e.Kept)
	if err != nil {
		return e, fmt.Errorf("original of dead letter %d: %w", e.Sequence, err)
	}
	out := newEntry(p, e.Sequence, journal.NewMessage(e.Subject, whole.Header, whole.Data, e.Time))
	out.Kept = e.Kept
	return out, nil
}

func original(ctx context.Context, c Client, bucket, name string) (*nats.Msg, error) {
	if !strings.HasPrefix(name, originalName) { // others can write dead letters, and must not make us read other objects
		return nil, fmt.Errorf("object store %s: %w: %.80q is not the name of an original", bucket, objects.ErrNoFile, name)
	}
	store, err := c.JetStream().ObjectStore(ctx, bucket)
	if err != nil {
		return nil, objects.Error(bucket, err)
	}
	all, err := fetch(ctx, store, bucket, name)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("object store %s: %w", bucket, pack.ErrFormat)
	}
	return all[0].Msg, nil
}
