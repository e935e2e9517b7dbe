package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// ErrNoFile says that there is no such file, or that it is not in the bucket itself.
var ErrNoFile = errors.New("there is no such file")

// Sizes and ages of the two object stores. They bound what strangers can fill, and an operator may change them on the
// server.
const (
	filesFor, answersFor   = 7 * 24 * time.Hour, time.Hour
	filesMost, answersMost = 1 << 30, 512 << 20
)

// buckets are the object stores of the contract.
func buckets(p events.Prefix, replicas int) []jetstream.ObjectStoreConfig {
	return []jetstream.ObjectStoreConfig{
		{
			Bucket: p.FileBucket(), Description: "Files that commands upload to factro",
			TTL: filesFor, MaxBytes: filesMost, Replicas: replicas,
		},
		{
			Bucket: p.AnswerBucket(), Description: "Answers to queries that no message can hold",
			TTL: answersFor, MaxBytes: answersMost, Replicas: replicas,
		},
	}
}

// ensureBuckets creates the object stores that are missing. One that cannot be made, for want of room for example, is told
// and not more: only large files and large answers need it, and events and commands are not to wait for that.
func (b *Bus) ensureBuckets(ctx context.Context) {
	for _, want := range buckets(b.cfg.Prefix, b.cfg.Replicas) {
		_, err := b.js.ObjectStore(ctx, want.Bucket)
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			if _, err = b.js.CreateObjectStore(ctx, want); err == nil {
				b.log.InfoContext(ctx, "object store created", "bucket", want.Bucket)
			}
		}
		why := ""
		if err != nil {
			why = err.Error()
		}
		if ctx.Err() == nil && b.isNews(want.Bucket, why) {
			b.log.WarnContext(ctx, "object store is not there; large files or answers will fail", "bucket", want.Bucket, "error", err)
		}
	}
}

// File is a file that a command refers to.
type File struct {
	// Size is in bytes.
	Size int64
	// Open opens the content. It is checked against its digest while it is read: a difference is an error at its end.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// fileTimeout bounds how long one file may be open. The object store's own bound is five seconds for all of it.
const fileTimeout = time.Hour

// File looks a file up in the bucket for files. One that is not there is ErrNoFile; any other error passes.
func (b *Bus) File(ctx context.Context, name string) (File, error) {
	bucket := b.cfg.Prefix.FileBucket()
	store, err := b.store(ctx, bucket)
	if err != nil {
		return File{}, err
	}
	info, err := store.GetInfo(ctx, name)
	if err != nil {
		return File{}, fileError(bucket, err)
	}
	if info.Opts != nil && info.Opts.Link != nil {
		// It leads to where the one who made it may not read himself.
		return File{}, fmt.Errorf("object store %s: %w: it is a link", bucket, ErrNoFile)
	}
	size := int64(info.Size) //nolint:gosec // what a bucket holds is far below the limit of the type
	return File{Size: size, Open: func(ctx context.Context) (io.ReadCloser, error) {
		ctx, cancel := context.WithTimeout(ctx, fileTimeout)
		content, err := store.Get(ctx, name)
		if err != nil {
			cancel()
			return nil, fileError(bucket, err)
		}
		// What was opened, which a link that came in between would have made another object.
		if opened, err := content.Info(); err != nil || opened.Bucket != bucket || opened.NUID != info.NUID {
			err = errors.Join(err, content.Close())
			cancel()
			return nil, errors.Join(fmt.Errorf("object store %s: the object was replaced meanwhile", bucket), err)
		}
		return &opened{content, cancel}, nil
	}}, nil
}

// opened is an object that is read, and the end of the time for it.
type opened struct {
	jetstream.ObjectResult
	cancel context.CancelFunc
}

func (o *opened) Close() error {
	defer o.cancel()
	return o.ObjectResult.Close()
}

// store returns a bucket once the connection is up.
func (b *Bus) store(ctx context.Context, bucket string) (jetstream.ObjectStore, error) {
	if err := b.waitUp(ctx); err != nil {
		return nil, fmt.Errorf("object store %s: %w", bucket, err)
	}
	store, err := b.js.ObjectStore(ctx, bucket)
	if err != nil {
		return nil, fileError(bucket, err)
	}
	return store, nil
}

// fileError tells what is not there from what cannot be asked.
func fileError(bucket string, err error) error {
	if errors.Is(err, jetstream.ErrObjectNotFound) || errors.Is(err, jetstream.ErrBucketNotFound) {
		return fmt.Errorf("object store %s: %w", bucket, ErrNoFile)
	}
	return fmt.Errorf("object store %s: %w", bucket, err)
}

const (
	// answerRoom is what an answer leaves of a message to its headers.
	answerRoom = 4 << 10
	// answerMost bounds what of an answer is held in memory, whatever the server takes.
	answerMost = 8 << 20
)

// MaxAnswer is how many bytes of an answer a message can hold.
func (b *Bus) MaxAnswer() int {
	return int(min(max(b.nc.MaxPayload()-answerRoom, 0), answerMost))
}

// Keep stores an answer that no message can hold, as a stream, and returns where it is. When it fails, or the content
// does, nothing is left of it: what of it was stored is taken away, or, if NATS cannot be reached for that, ages out.
func (b *Bus) Keep(ctx context.Context, name string, content io.Reader) (events.ObjectRef, error) {
	bucket := b.cfg.Prefix.AnswerBucket()
	store, err := b.store(ctx, bucket)
	if err != nil {
		return events.ObjectRef{}, err
	}
	return put(ctx, store, bucket, name, content)
}

// put stores an object. The end of ctx ends it through the content, since a context that has ended would leave the store
// no means to take the beginning away.
func put(ctx context.Context, store jetstream.ObjectStore, bucket, name string, content io.Reader) (events.ObjectRef, error) {
	info, err := store.Put(context.WithoutCancel(ctx), jetstream.ObjectMeta{Name: name}, &chunks{ctx: ctx.Err, r: content})
	if err != nil {
		// The client takes the content away, but not always its index: that may have been stored although the bucket was full.
		_ = store.Delete(context.WithoutCancel(ctx), name)
		return events.ObjectRef{}, fmt.Errorf("object store %s: %w", bucket, err)
	}
	return events.ObjectRef{Bucket: bucket, Name: name, Size: info.Size}, nil
}

// chunks fills what it is given to read into, since the store makes a message of each read; and it ends when it has to.
type chunks struct {
	ctx func() error
	r   io.Reader
}

func (c *chunks) Read(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		if err = c.ctx(); err != nil {
			return n, err
		}
		var more int
		more, err = c.r.Read(p[n:])
		n += more
	}
	return n, err
}
