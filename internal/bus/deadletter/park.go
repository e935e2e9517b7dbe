package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter/pack"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// What is to be published about a command that is already decided must not delay the others, even if the broker refuses it.
// It is parked in the object store of its cloud, and the command is settled. Recover publishes it once the stream takes it.

// Beginnings of the names of objects: the originals of dead letters, and what could not be published yet.
const (
	originalName = "dead/"
	pendingName  = "pending/"
)

// originalWait bounds how long one object may take to be stored, read or deleted.
const originalWait = 10 * time.Second

// Park keeps messages of a cloud until they can be published. why is the reason why they cannot be now. The dead letter, if
// there is one, is the last of them.
func (s *Store) Park(ctx context.Context, cloud string, why error, all ...PendingPublish) error {
	last := all[len(all)-1]
	// The time sorts the objects in the order of their parking.
	name := pendingName + time.Now().UTC().Format(parkedTime) + "/" + pack.ShortID(last.ID)
	if err := s.keep(ctx, cloud, name, all...); err != nil {
		return errors.Join(why, fmt.Errorf("park: %w", err))
	}
	s.metrics.refused(ctx, parked)
	s.log.ErrorContext(ctx, "the broker refuses what is to be published about a command; it is parked, and published once that is possible",
		"subject", last.Msg.Subject, "position", delivery.Header(last.Msg.Header).Get(topology.HeaderDeadPosition),
		"bucket", s.prefix.OriginalBucket(cloud), "object", name, "error", why)
	select {
	case s.parked <- struct{}{}:
	default: // Recover is going to look anyway
	}
	return nil
}

// keepOriginal stores a dead letter that its stream does not take, and returns the name of the object. ErrNotKept says that
// the object store does not take it; any other error is temporary.
func (s *Store) keepOriginal(ctx context.Context, dead *nats.Msg, id string) (name string, _ error) {
	name = originalName + id
	if err := s.keep(ctx, topology.SubjectToken(dead.Subject, 3), name, PendingPublish{ID: id, Msg: dead}); err != nil {
		return "", err
	}
	return name, nil
}

// keep stores messages as one object of a cloud.
func (s *Store) keep(ctx context.Context, cloud, name string, all ...PendingPublish) error {
	if err := s.conn.AwaitUp(ctx); err != nil {
		return err
	}
	content, err := pack.Write(all...)
	if err != nil {
		return notKept(err)
	}
	ctx, cancel := context.WithTimeout(ctx, originalWait)
	defer cancel()
	began := time.Now()
	store, err := s.stores.Ensure(ctx, cloud)
	if err == nil {
		_, err = objects.Put(ctx, store, s.prefix.OriginalBucket(cloud), name, content, s.conn.NATS().MaxPayload())
	}
	// A store that the bridge may not write to gives no answer, and neither does one without a leader. The broker answers, since
	// it has just refused the dead letter, so it is worth waiting for a leader, but not for ever.
	silent := s.conn.Health().Silent("the originals of "+cloud, began, err)
	switch {
	case err == nil:
		return nil
	case natserr.Disconnected(err), !s.conn.NATS().IsConnected():
		return err
	case natserr.Answered(err), errors.Is(err, jetstream.ErrBucketNotFound), silent:
		return notKept(natserr.WithHelp(err))
	}
	return err
}

// fetch reads an object that keep has written. It follows no link.
func fetch(ctx context.Context, store jetstream.ObjectStore, bucket, name string) ([]PendingPublish, error) {
	info, err := store.GetInfo(ctx, name)
	if err != nil {
		return nil, objects.Error(bucket, err)
	}
	if info.Opts != nil && info.Opts.Link != nil {
		return nil, fmt.Errorf("object store %s: %w: it is a link", bucket, objects.ErrNoFile)
	}
	content, err := store.Get(ctx, name)
	if err != nil {
		return nil, objects.Error(bucket, err)
	}
	all, err := pack.Read(content)
	return all, errors.Join(err, content.Close())
}
