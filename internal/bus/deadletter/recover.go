package deadletter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter/pack"
	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/instrument"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// recoverEvery is how often parked messages are tried again, and recoverAtMost how often if they are refused each time, or if
// there are none.
const (
	recoverEvery  = 15 * time.Second
	recoverAtMost = 10 * time.Minute
)

// Recover publishes what was parked of the commands of clouds, as soon as the streams take it, until ctx ends. Several
// bridges may do so at once: what they publish has the same message ids.
func (s *Store) Recover(ctx context.Context, clouds []string) error {
	var waiting atomic.Int64
	stop, err := observe(&waiting)
	if err != nil {
		return err
	}
	defer stop()
	logged := map[string]string{} // the last error of each cloud
	pause := s.recoverEvery
	for {
		published, left := int64(0), int64(0)
		for _, cloud := range clouds {
			select {
			case <-s.conn.StreamsReady(cloud):
			default:
				continue // there is nothing to publish to yet
			}
			done, rest, err := s.recoverCloud(ctx, cloud)
			published, left = published+done, left+rest
			why := ""
			if err != nil {
				why = err.Error()
			}
			if ctx.Err() == nil && why != logged[cloud] {
				if logged[cloud] = why; why != "" {
					s.log.WarnContext(ctx, "what is parked cannot be published yet; trying again", "cloud", cloud, "left", rest, "error", err)
				}
			}
		}
		waiting.Store(left)
		if pause = min(2*pause, recoverAtMost); published > 0 {
			pause = s.recoverEvery
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		case <-s.parked: // not at once: it was refused a moment ago
			waiting.Add(1)
			pause = s.recoverEvery
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pause):
			}
		}
	}
}

// observe shows how many commands are parked.
func observe(waiting *atomic.Int64) (stop func(), _ error) {
	b := instrument.New(measure.Scope)
	gauge := b.Gauge("factro.bridge.commands.parked", "{command}",
		"Commands that are settled, and whose result or dead letter is parked until its stream takes it.")
	r := b.Observe(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(gauge, waiting.Load())
		return nil
	})
	if err := b.Err(); err != nil {
		return nil, err
	}
	return func() { _ = r.Unregister() }, nil // an error says that it is not registered any more
}

// recoverCloud publishes what is parked of a cloud, the oldest first. The error is why something is left.
func (s *Store) recoverCloud(ctx context.Context, cloud string) (published, left int64, _ error) {
	if s.conn.AwaitUp(ctx) != nil {
		return 0, 0, nil // the connection reports that itself
	}
	looking, cancel := context.WithTimeout(ctx, originalWait)
	defer cancel()
	store, err := s.stores.Find(looking, cloud)
	if err != nil {
		return 0, 0, unlessMissing(err)
	}
	bucket := s.prefix.OriginalBucket(cloud)
	names, err := pendingNames(looking, store)
	if err != nil {
		return 0, 0, fmt.Errorf("object store %s: %w", bucket, err)
	}
	var why error
	for i, name := range names {
		switch err := s.recoverOne(ctx, store, bucket, name); {
		case err == nil:
			published++
		case Unpublishable(err) && !errors.Is(err, publish.ErrRefusing): // only this one is refused
			why = err
		default:
			return published, int64(len(names)-i) + (int64(i) - published), err // the others would fail in the same way
		}
	}
	return published, int64(len(names)) - published, why
}

// unlessMissing is the error of looking a bucket up. Without one, or without the right to look, nothing is parked.
func unlessMissing(err error) error {
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, context.DeadlineExceeded) || natserr.Disconnected(err) {
		return nil
	}
	return err
}

func pendingNames(ctx context.Context, store jetstream.ObjectStore) ([]string, error) {
	all, err := store.List(ctx)
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, info := range all {
		if strings.HasPrefix(info.Name, pendingName) {
			names = append(names, info.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// recoverOne publishes what one object holds, and deletes it.
func (s *Store) recoverOne(ctx context.Context, store jetstream.ObjectStore, bucket, name string) error {
	reading, cancel := context.WithTimeout(ctx, originalWait)
	defer cancel()
	all, err := fetch(reading, store, bucket, name)
	switch {
	case errors.Is(err, objects.ErrNoFile):
		return nil // another bridge was quicker
	case errors.Is(err, pack.ErrFormat):
		s.log.ErrorContext(ctx, "what is parked under this name cannot be read, and is left where it is", "bucket", bucket, "object", name, "error", err)
		return errors.Join(publish.ErrRefused, err)
	case err != nil:
		return err
	}
	for _, p := range all {
		if err := s.publishParked(ctx, p); err != nil {
			return err
		}
	}
	deleting, stop := context.WithTimeout(ctx, originalWait)
	defer stop()
	if err := store.Delete(deleting, name); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return fmt.Errorf("object store %s: %w", bucket, err) // it is published again, under the same message id
	}
	s.log.InfoContext(ctx, "what was parked about a command is published", "object", name)
	return nil
}

// publishParked publishes a message that was parked. It takes results and dead letters only: others can write to the bucket,
// and must not be able to make the bridge publish to a subject of their choice.
func (s *Store) publishParked(ctx context.Context, p PendingPublish) error {
	subject := p.Msg.Subject
	switch {
	case topology.SubjectToken(subject, 0) != string(s.prefix):
	case topology.SubjectToken(subject, 1) == "dead":
		_, err := s.put(ctx, p.Msg, p.ID, topology.SubjectToken(subject, 2) == Webhook)
		return err
	case topology.SubjectToken(subject, 1) == "result":
		return s.publish.Send(ctx, p.Msg, p.ID)
	}
	return fmt.Errorf("%w: its subject is not that of a result or a dead letter", publish.ErrRefused)
}
