package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// recoverEvery is how often what is parked is tried again, and recoverAtMost how often if it is refused each time, or if
// nothing is there.
const (
	recoverEvery  = 15 * time.Second
	recoverAtMost = 10 * time.Minute
)

// Recover publishes what was parked of the commands of clouds, as soon as the streams take it, until ctx ends. Several
// bridges may do so at once: what they publish has the same message ids.
func (b *Conn) Recover(ctx context.Context, clouds []string) error {
	var waiting atomic.Int64
	stop, err := b.watchPending(&waiting)
	if err != nil {
		return err
	}
	defer stop()
	pause := b.recoverEvery
	for {
		published, left := int64(0), int64(0)
		for _, cloud := range clouds {
			select {
			case <-b.StreamsReady(cloud):
			default:
				continue // there is nothing to publish to yet
			}
			done, rest, err := b.recoverCloud(ctx, cloud)
			published, left = published+done, left+rest
			why := ""
			if err != nil {
				why = err.Error()
			}
			if ctx.Err() == nil && b.News("recover "+cloud, why) {
				b.log.WarnContext(ctx, "what is parked cannot be published yet; trying again", "cloud", cloud, "left", rest, "error", err)
			}
		}
		waiting.Store(left)
		if pause = min(2*pause, recoverAtMost); published > 0 {
			pause = b.recoverEvery
		}
		select {
		case <-ctx.Done():
			return nil
		case <-b.closed:
			return nil
		case <-time.After(pause):
		case <-b.parked: // not at once: it was refused a moment ago
			waiting.Add(1)
			pause = b.recoverEvery
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pause):
			}
		}
	}
}

// watchPending shows how much is parked.
func (b *Conn) watchPending(waiting *atomic.Int64) (stop func(), _ error) {
	meter := otel.Meter(Scope)
	gauge, err := meter.Int64ObservableGauge("factro.bridge.commands.parked", metric.WithUnit("{command}"),
		metric.WithDescription("Commands that are settled, and whose result or dead letter is parked until its stream takes it."))
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	r, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(gauge, waiting.Load())
		return nil
	}, gauge)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return func() { _ = r.Unregister() }, nil // there is nothing left to observe, so its error tells nobody anything
}

// recoverSoon has Recover look at what is parked.
func (b *Conn) recoverSoon() {
	select {
	case b.parked <- struct{}{}:
	default: // it is going to anyway
	}
}

// recoverCloud publishes what is parked of a cloud, the oldest first. The error is why something is left.
func (b *Conn) recoverCloud(ctx context.Context, cloud string) (published, left int64, _ error) {
	bucket := b.cfg.Prefix.OriginalBucket(cloud)
	if err := b.AwaitUp(ctx); err != nil {
		return 0, 0, nil // the connection says so itself
	}
	if b.health.isHidden("OBJ_" + bucket) {
		return 0, 0, nil // we may not look
	}
	looking, cancel := context.WithTimeout(ctx, originalWait)
	defer cancel()
	store, err := b.js.ObjectStore(looking, bucket)
	if err != nil {
		return 0, 0, b.unlessGone(err)
	}
	names, err := pendingNames(looking, store)
	if err != nil {
		return 0, 0, fmt.Errorf("object store %s: %w", bucket, err)
	}
	var why error
	for i, name := range names {
		switch err := b.recoverOne(ctx, store, bucket, name); {
		case err == nil:
			published++
		case unpublishable(err) && !errors.Is(err, ErrRefusing): // that one's own fault
			why = err
		default:
			return published, int64(len(names)-i) + (int64(i) - published), err // the others would meet the same
		}
	}
	return published, int64(len(names)) - published, why
}

// unlessGone is the error of a look for a bucket. Without one, and without the right to look, nothing is parked.
func (b *Conn) unlessGone(err error) error {
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, context.DeadlineExceeded) || isDisconnect(err) {
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
func (b *Conn) recoverOne(ctx context.Context, store jetstream.ObjectStore, bucket, name string) error {
	reading, cancel := context.WithTimeout(ctx, originalWait)
	defer cancel()
	all, err := fetch(reading, store, bucket, name)
	switch {
	case errors.Is(err, ErrNoFile):
		return nil // another bridge was quicker
	case errors.Is(err, errPacked):
		b.log.ErrorContext(ctx, "what is parked under this name cannot be read, and is left where it is", "bucket", bucket, "object", name, "error", err)
		return errors.Join(ErrRefused, err)
	case err != nil:
		return err
	}
	for _, p := range all {
		if err := b.publishParked(ctx, p); err != nil {
			return err
		}
	}
	deleting, stop := context.WithTimeout(ctx, originalWait)
	defer stop()
	if err := store.Delete(deleting, name); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return fmt.Errorf("object store %s: %w", bucket, err) // it is published again, under the same message id
	}
	b.log.InfoContext(ctx, "what was parked about a command is published", "object", name)
	return nil
}

// publishParked publishes a message that was parked. Only our own kinds: whoever can write to the bucket shall not have us
// publish to a subject of his choice.
func (b *Conn) publishParked(ctx context.Context, p packed) error {
	switch {
	case token(p.msg.Subject, 0) != string(b.cfg.Prefix):
	case token(p.msg.Subject, 1) == "dead":
		return b.sendLetter(ctx, p.msg, p.id, token(p.msg.Subject, 2) == DeadWebhook)
	case token(p.msg.Subject, 1) == "result":
		return b.Send(ctx, p.msg, p.id)
	}
	return fmt.Errorf("%w: its subject is none of a result or a dead letter", ErrRefused)
}
