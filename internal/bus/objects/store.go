package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/bus/dial"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

var errSlow = errors.New("it could not be opened in time")

// Conn is what objects need of the connection to NATS.
type Conn interface {
	// AwaitUp waits until it is up. An error says that it never will be, or that ctx has ended.
	AwaitUp(ctx context.Context) error
	JetStream() jetstream.JetStream
	Settings() dial.Config
}

// Store reads the files that commands refer to, and keeps answers that no message can hold.
type Store struct{ conn Conn }

// New returns a store on a connection. It asks nobody.
func New(conn Conn) *Store { return &Store{conn} }

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
)

// File looks a file up in a bucket, which is the cloud's own for files or the one that an older version had for all. One that is not there, or that cannot be one, is ErrNoFile; any other
// error passes.
func (s *Store) File(ctx context.Context, bucket, name string) (File, error) {
	if len(name) > maxName {
		return File{}, fmt.Errorf("object store %s: %w: its name would have %d bytes", bucket, ErrNoFile, len(name))
	}
	store, err := s.store(ctx, bucket)
	if err != nil {
		return File{}, err
	}
	info, err := store.GetInfo(ctx, name)
	switch {
	case err != nil:
		return File{}, Error(bucket, err)
	case info.Opts != nil && info.Opts.Link != nil:
		// It leads to where the one who made it may not read himself.
		return File{}, fmt.Errorf("object store %s: %w: it is a link", bucket, ErrNoFile)
	case info.Bucket != bucket || info.Name != name || info.Size > math.MaxInt64/2 || events.Token(info.NUID) != info.NUID || info.NUID == "":
		// Whoever wrote this is no object store. The id of the content becomes part of a subject, as the name does.
		return File{}, fmt.Errorf("object store %s: %w: %w", bucket, ErrNoFile, jetstream.ErrBadObjectMeta)
	}
	if err := s.hasContent(ctx, bucket, info); err != nil {
		return File{}, err
	}
	return File{Size: int64(info.Size), Open: func(ctx context.Context) (io.ReadCloser, error) {
		return open(ctx, store, bucket, name, info.NUID)
	}}, nil
}

// hasContent looks for the last part of an object. If there is none, as when the parts have aged out before their index, the
// reader would wait for them until its time is over, and the commands behind it as long.
func (s *Store) hasContent(ctx context.Context, bucket string, info *jetstream.ObjectInfo) error {
	if info.Size == 0 {
		return nil
	}
	stream, err := s.conn.JetStream().Stream(ctx, "OBJ_"+bucket)
	if err != nil {
		return Error(bucket, err)
	}
	_, err = stream.GetLastMsgForSubject(ctx, "$O."+bucket+".C."+info.NUID)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("object store %s: %w: its content is gone", bucket, ErrNoFile)
	}
	if err != nil {
		return Error(bucket, err)
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
		return nil, Error(bucket, err)
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
func (s *Store) store(ctx context.Context, bucket string) (jetstream.ObjectStore, error) {
	if err := s.conn.AwaitUp(ctx); err != nil {
		return nil, fmt.Errorf("object store %s: %w", bucket, err)
	}
	store, err := s.conn.JetStream().ObjectStore(ctx, bucket)
	if err != nil {
		return nil, Error(bucket, err)
	}
	return store, nil
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
func (s *Store) MaxAnswer() int {
	return int(min(max(s.conn.JetStream().Conn().MaxPayload()-answerRoom, 0), answerMost))
}

// Keep stores an answer of a cloud that no message can hold, as a stream, and returns where it is. When it fails, or the content
// does, nothing is left of it: what of it was stored is taken away, or, if NATS cannot be reached for that, ages out.
func (s *Store) Keep(ctx context.Context, cloud, name string, content io.Reader) (events.ObjectRef, error) {
	bucket := s.conn.Settings().Prefix.AnswerBucket(cloud)
	looking, cancel := context.WithTimeout(ctx, keepWait)
	defer cancel()
	store, err := s.store(looking, bucket)
	if err != nil {
		return events.ObjectRef{}, err
	}
	return Put(ctx, store, bucket, name, content, s.conn.JetStream().Conn().MaxPayload())
}
