package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const (
	// originalWait bounds how long one original may take on its way.
	originalWait = 10 * time.Second
)

// Beginnings of the names of objects: the originals of dead letters, and what could not be published yet.
const (
	originalName = "dead/"
	pendingName  = "pending/"
)

// keepOriginal stores a dead letter that its stream does not take, and returns the name of the object. errNotKept says
// that the store does not take it; any other error passes.
func (b *Conn) keepOriginal(ctx context.Context, dead *nats.Msg, id string) (name string, _ error) {
	name = originalName + id
	if err := b.keep(ctx, token(dead.Subject, 3), name, packed{id, dead}); err != nil {
		return "", err
	}
	return name, nil
}

// keep stores messages as one object of a cloud.
func (b *Conn) keep(ctx context.Context, cloud, name string, all ...packed) error {
	if err := b.AwaitUp(ctx); err != nil {
		return err
	}
	content, err := pack(all...)
	if err != nil {
		return notKept(err)
	}
	ctx, cancel := context.WithTimeout(ctx, originalWait)
	defer cancel()
	began := time.Now()
	store, err := b.originals(ctx, cloud)
	if err == nil {
		_, err = put(ctx, store, b.cfg.Prefix.OriginalBucket(cloud), name, content, b.nc.MaxPayload())
	}
	// A store that the bridge may not write to is silent, as one without a leader is. The broker answers, since it has just
	// refused the letter, so it is worth to wait for a leader, and not for ever.
	place := "the originals of " + cloud
	silent, quiet := b.health.silence(place, began, err)
	switch {
	case err == nil:
		return nil
	case isDisconnect(err), !b.Up():
		return err
	case natserr.Answered(err), errors.Is(err, jetstream.ErrBucketNotFound), silent && quiet >= b.refusingAfter:
		return notKept(withHelp(err))
	}
	return err
}

// ensureOriginals creates the buckets for originals that are missing. One that cannot be made is told and not more: only
// what no stream takes needs it.
func (b *Conn) ensureOriginals(ctx context.Context) {
	if !b.cfg.Manage {
		return
	}
	for _, cloud := range b.cfg.Clouds {
		bucket := b.cfg.Prefix.OriginalBucket(cloud)
		why := ""
		_, err := b.originals(ctx, cloud)
		if err != nil {
			why = err.Error()
		}
		if ctx.Err() == nil && b.News(bucket, why) {
			b.log.WarnContext(ctx, "object store is not there; of what no stream takes only a part will be kept", "bucket", bucket, "error", err)
		}
	}
}

// originals returns the bucket of a cloud, and makes it if it is missing and the bridge may. Each request has a time of its
// own: one that is refused for want of rights is never answered.
func (b *Conn) originals(ctx context.Context, cloud string) (jetstream.ObjectStore, error) {
	bucket := b.cfg.Prefix.OriginalBucket(cloud)
	if b.health.isHidden("OBJ_" + bucket) {
		return nil, fmt.Errorf("%w: no permission", jetstream.ErrBucketNotFound)
	}
	attempt, cancel := context.WithTimeout(ctx, AttemptTimeout)
	store, err := b.js.ObjectStore(attempt, bucket)
	cancel()
	if !errors.Is(err, jetstream.ErrBucketNotFound) || !b.cfg.Manage || events.Token(cloud) != cloud || cloud == "_" {
		return store, err
	}
	made, err := b.WithRoom(ctx, "object store "+bucket, topology.Originals, func(ctx context.Context, bytes int64) error {
		want := b.cfg.Plan().Originals(cloud).ObjectStoreConfig
		want.MaxBytes = bytes
		store, err = b.js.CreateObjectStore(ctx, want)
		return err
	})
	if made {
		b.log.InfoContext(ctx, "object store created", "bucket", bucket)
	}
	if err == nil && !made { // somebody else was quicker
		attempt, cancel := context.WithTimeout(ctx, AttemptTimeout)
		defer cancel()
		return b.js.ObjectStore(attempt, bucket)
	}
	return store, err
}

// silence notes how a request to a store ended that began then. It says whether the store was silent, and since how long
// it has been.
func (h *health) silence(store string, began time.Time, err error) (silent bool, since time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil || natserr.Answered(err) {
		delete(h.silent, store)
		return false, 0
	}
	if h.silent[store].IsZero() {
		h.silent[store] = began
	}
	return true, time.Since(h.silent[store])
}

// Original completes a dead letter that holds only a part of its original with the rest out of the object store. A letter
// that is whole is returned as it is. ErrNoFile says that the original is not there, or not any more.
func (c *Client) Original(ctx context.Context, p events.Prefix, l DeadLetter) (DeadLetter, error) {
	if l.Kept == "" {
		return l, nil
	}
	whole, err := c.original(ctx, p.OriginalBucket(l.Cloud), l.Kept)
	if err != nil {
		return l, fmt.Errorf("original of dead letter %d: %w", l.Sequence, err)
	}
	m := NewMessage(l.Subject, whole.Header, whole.Data, l.Time)
	out := newDeadLetter(p, l.Sequence, m)
	out.Kept = l.Kept
	return out, nil
}

func (c *Client) original(ctx context.Context, bucket, name string) (*nats.Msg, error) {
	if !strings.HasPrefix(name, originalName) { // whoever can write letters shall not have us read other objects
		return nil, fmt.Errorf("object store %s: %w: %.80q is the name of no original", bucket, ErrNoFile, name)
	}
	store, err := c.js.ObjectStore(ctx, bucket)
	if err != nil {
		return nil, fileError(bucket, err)
	}
	all, err := fetch(ctx, store, bucket, name)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("object store %s: %w", bucket, errPacked)
	}
	return all[0].msg, nil
}

// fetch reads an object that pack has written. It follows no link, and reads no more than it must.
func fetch(ctx context.Context, store jetstream.ObjectStore, bucket, name string) ([]packed, error) {
	info, err := store.GetInfo(ctx, name)
	if err != nil {
		return nil, fileError(bucket, err)
	}
	if info.Opts != nil && info.Opts.Link != nil {
		return nil, fmt.Errorf("object store %s: %w: it is a link", bucket, ErrNoFile)
	}
	content, err := store.Get(ctx, name)
	if err != nil {
		return nil, fileError(bucket, err)
	}
	all, err := unpackAll(io.LimitReader(content, 2*mostPacked))
	return all, errors.Join(err, content.Close())
}
