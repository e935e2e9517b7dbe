package objects

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// ErrNoFile says that there is no such file, or that it is not in the bucket itself.
var ErrNoFile = errors.New("there is no such file")

// maxName bounds the name of an object, in bytes. In base64 it becomes part of a subject, and one beyond the server's
// limit on a line of its protocol would cost us the connection.
const maxName = 512

// Error distinguishes what is not there, which is ErrNoFile, from what cannot be asked.
func Error(bucket string, err error) error {
	for _, none := range []error{jetstream.ErrObjectNotFound, jetstream.ErrBucketNotFound, jetstream.ErrBadObjectMeta} {
		if errors.Is(err, none) {
			return fmt.Errorf("object store %s: %w", bucket, ErrNoFile)
		}
	}
	return fmt.Errorf("object store %s: %w", bucket, err)
}

// mostChunk is the part of an object that a message holds, if a message can hold that much.
const mostChunk = 128 << 10

// Put stores an object in messages of at most so many bytes. The end of ctx ends it through the content, since a context that has
// ended would leave the store no means to take the beginning away.
func Put(ctx context.Context, store jetstream.ObjectStore, bucket, name string, content io.Reader, payload int64) (events.ObjectRef, error) {
	if len(name) > maxName {
		return events.ObjectRef{}, fmt.Errorf("object store %s: a name of %d bytes, want at most %d", bucket, len(name), maxName)
	}
	chunk := uint32(mostChunk)
	if 0 < payload && payload < mostChunk { // 0 before there ever was a connection
		chunk = uint32(payload)
	}
	meta := jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: chunk}}
	info, err := store.Put(context.WithoutCancel(ctx), meta, &chunks{ctx: ctx.Err, r: content})
	if err != nil {
		// The client takes the content away, but not always its index: that may have been stored although the bucket was full.
		_ = store.Delete(context.WithoutCancel(ctx), name)
		return events.ObjectRef{}, fmt.Errorf("object store %s: %w", bucket, natserr.WithHelp(err))
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
