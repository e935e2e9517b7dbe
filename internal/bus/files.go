package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// ErrNoFile says that there is no such file, or that it is not in the bucket itself.
var ErrNoFile = errors.New("there is no such file")

var errSlow = errors.New("it could not be opened in time")

// File is a file that a command refers to.
type File struct {
	// Size is in bytes.
	Size int64
	// Open opens the content. It is checked against its digest while it is read: a difference is an error at its end. A
	// Read to which nothing came for a second returns 0 and no error, so that who reads can see whether he still wants to.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

const (
	// fileTimeout bounds how long one file may be open. The object store's own bound is five seconds for all of it.
	fileTimeout = time.Hour
	// openTimeout bounds how long it may take to open one.
	openTimeout = 5 * time.Second
	// moment is how long a read waits for something to come.
	moment = time.Second
	// maxName bounds the name of an object, in bytes. In base64 it becomes part of a subject, and one beyond the server's
	// limit on a line of its protocol would cost us the connection.
	maxName = 512
)

// File looks a file up in a bucket, which is the cloud's own for files or the one that an older version had for all. One that is not there, or that cannot be one, is ErrNoFile; any other
// error passes.
func (b *Conn) File(ctx context.Context, bucket, name string) (File, error) {
	if len(name) > maxName {
		return File{}, fmt.Errorf("object store %s: %w: its name would have %d bytes", bucket, ErrNoFile, len(name))
	}
	store, err := b.store(ctx, bucket)
	if err != nil {
		return File{}, err
	}
	info, err := store.GetInfo(ctx, name)
	switch {
	case err != nil:
		return File{}, fileError(bucket, err)
	case info.Opts != nil && info.Opts.Link != nil:
		// It leads to where the one who made it may not read himself.
		return File{}, fmt.Errorf("object store %s: %w: it is a link", bucket, ErrNoFile)
	case info.Bucket != bucket || info.Name != name || info.Size > math.MaxInt64/2 || events.Token(info.NUID) != info.NUID || info.NUID == "":
		// Whoever wrote this is no object store. The id of the content becomes part of a subject, as the name does.
		return File{}, fmt.Errorf("object store %s: %w: %w", bucket, ErrNoFile, jetstream.ErrBadObjectMeta)
	}
	if err := b.hasContent(ctx, bucket, info); err != nil {
		return File{}, err
	}
	return File{Size: int64(info.Size), Open: func(ctx context.Context) (io.ReadCloser, error) {
		return open(ctx, store, bucket, name, info.NUID)
	}}, nil
}

// hasContent looks for the last part of an object. If there is none, as when the parts have aged out before their index, the
// reader would wait for them until its time is over, and the commands behind it as long.
func (b *Conn) hasContent(ctx context.Context, bucket string, info *jetstream.ObjectInfo) error {
	if info.Size == 0 {
		return nil
	}
	stream, err := b.js.Stream(ctx, "OBJ_"+bucket)
	if err != nil {
		return fileError(bucket, err)
	}
	_, err = stream.GetLastMsgForSubject(ctx, "$O."+bucket+".C."+info.NUID)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("object store %s: %w: its content is gone", bucket, ErrNoFile)
	}
	if err != nil {
		return fileError(bucket, err)
	}
	return nil
}

// open opens the content of an object that has this id.
func open(ctx context.Context, store jetstream.ObjectStore, bucket, name, id string) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, fileTimeout)
	late := time.AfterFunc(openTimeout, cancel)
	content, err := store.Get(impatient{ctx}, name) //nolint:contextcheck // it is ctx, but for its deadline
	if !late.Stop() {
		if err == nil {
			_ = content.Close() // nothing of it was read
		}
		err = errSlow
	}
	if err != nil {
		cancel()
		return nil, fileError(bucket, err)
	}
	// What was opened, which a link that came in between would have made another object.
	if opened, err := content.Info(); err != nil || opened.Bucket != bucket || opened.NUID != id {
		err = errors.Join(err, content.Close())
		cancel()
		return nil, errors.Join(fmt.Errorf("object store %s: the object was replaced meanwhile", bucket), err)
	}
	return &opened{content, cancel}, nil
}

// impatient is a context whose deadline is always near. The object store's reader sleeps until its context's deadline and
// does not see what ends the context before.
type impatient struct{ context.Context } //nolint:containedctx // it is one

func (impatient) Deadline() (time.Time, bool) { return time.Now().Add(moment), true }

// opened is an object that is read, and the end of the time for it.
type opened struct {
	jetstream.ObjectResult
	cancel context.CancelFunc
}

func (o *opened) Read(p []byte) (int, error) {
	n, err := o.ObjectResult.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil // the moment is over, and the time for the file is not
	}
	return n, err
}

func (o *opened) Close() error {
	defer o.cancel()
	return o.ObjectResult.Close()
}

// store returns a bucket once the connection is up.
func (b *Conn) store(ctx context.Context, bucket string) (jetstream.ObjectStore, error) {
	if err := b.AwaitUp(ctx); err != nil {
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
	for _, none := range []error{jetstream.ErrObjectNotFound, jetstream.ErrBucketNotFound, jetstream.ErrBadObjectMeta} {
		if errors.Is(err, none) {
			return fmt.Errorf("object store %s: %w", bucket, ErrNoFile)
		}
	}
	return fmt.Errorf("object store %s: %w", bucket, err)
}

const (
	// answerRoom is what an answer leaves of a message to its headers.
	answerRoom = 4 << 10
	// answerMost bounds what of an answer is held in memory, whatever the server takes.
	answerMost = 8 << 20
	// keepWait bounds how long an answer waits for the connection and its bucket: somebody waits for it.
	keepWait = 5 * time.Second
)

// MaxAnswer is how many bytes of an answer a message can hold.
func (b *Conn) MaxAnswer() int {
	return int(min(max(b.nc.MaxPayload()-answerRoom, 0), answerMost))
}

// Keep stores an answer of a cloud that no message can hold, as a stream, and returns where it is. When it fails, or the content
// does, nothing is left of it: what of it was stored is taken away, or, if NATS cannot be reached for that, ages out.
func (b *Conn) Keep(ctx context.Context, cloud, name string, content io.Reader) (events.ObjectRef, error) {
	bucket := b.cfg.Prefix.AnswerBucket(cloud)
	looking, cancel := context.WithTimeout(ctx, keepWait)
	defer cancel()
	store, err := b.store(looking, bucket)
	if err != nil {
		return events.ObjectRef{}, err
	}
	return put(ctx, store, bucket, name, content, b.nc.MaxPayload())
}

// mostChunk is the part of an object that a message holds, if a message can hold that much.
const mostChunk = 128 << 10

// put stores an object in messages of at most so many bytes. The end of ctx ends it through the content, since a context that has ended would leave the store
// no means to take the beginning away.
func put(ctx context.Context, store jetstream.ObjectStore, bucket, name string, content io.Reader, payload int64) (events.ObjectRef, error) {
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
