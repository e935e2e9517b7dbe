package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/embedded"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

const (
	// Reserve is what is left free of the file system. JetStream writes more than messages, and when it meets the end of the
	// disk it stops answering.
	Reserve = 64 << 20
	// maxPayload takes the largest body that may be configured, with its headers.
	maxPayload = 66 << 20

	// LeastWrite is the time that a write is given at least.
	LeastWrite = time.Second

	// RepairEvery is how often Repair should be called.
	RepairEvery = time.Second

	// spaceTimeout bounds how long an observer waits for the file system.
	spaceTimeout = time.Second

	storeFailed = 10077 // JetStream's code for a stream that has reached its limit
)

var (
	// ErrFull says that the directory or its file system has no room. It passes.
	ErrFull = errors.New("the spool is full")
	// ErrClosed says that the server is not open. Repair opens it.
	ErrClosed = errors.New("the spool is not open")
)

// Disk is the server on a directory. The directory belongs to it until Close.
type Disk struct {
	dir      string
	maxBytes int64
	space    embedded.Space
	log      *slog.Logger
	lock     *os.File

	// gate is held for reading by users of the server, which also keep account of it, and for writing to open it.
	gate gate
	over bool // whether it was closed for good
	// stopping is a server that may still run: on a disk that hangs it does not stop.
	stopping *embedded.Server

	now   atomic.Pointer[running] // nil while the server is not open
	fault atomic.Pointer[error]   // why the server has to be opened again
	full  atomic.Bool             // set when the last write met the stream's limit
}

// Content is what lies on the disk.
type Content struct {
	// Messages are how many there are of each subject.
	Messages map[string]uint64
	// Bytes is the size of all of them, Last the sequence of the last one.
	Bytes, Last uint64
}

// New takes a directory for this process. free says how much of its file system is free. It is an error if another process has
// the directory, or if there can be none. The server is not open yet: see Open.
func New(dir string, maxBytes int64, free func(string) (int64, error), log *slog.Logger) (*Disk, error) {
	lock, err := embedded.LockDir(dir)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the directory, and the spool adds the setting
	}
	if err := embedded.CheckTree(dir); err != nil {
		return nil, errors.Join(err, embedded.UnlockDir(lock))
	}
	return &Disk{dir: dir, maxBytes: maxBytes, space: embedded.NewSpace(free), log: log, lock: lock, gate: newGate()}, nil
}

// Enter waits until the server may be used, and the accounts of it may be changed. After nil, Leave must be called.
func (d *Disk) Enter(ctx context.Context) error { return d.gate.RLock(ctx) }

// Leave ends what Enter began.
func (d *Disk) Leave() { d.gate.RUnlock() }

// Observe counts what lies on the disk and calls account, at one moment: ok is false if anybody entered meanwhile, or if the
// server does not answer. Nobody waits for an observer.
func (d *Disk) Observe(ctx context.Context, account func(Content)) (ok bool) {
	if d.Broken() {
		return false
	}
	var err error
	undisturbed := d.gate.undisturbed(func() {
		var found Content
		if found, err = d.count(ctx); err == nil {
			account(found)
		}
	})
	return undisturbed && err == nil && !d.Broken()
}

// room says whether the file system has more than the reserve left.
func (d *Disk) room(ctx context.Context, n int) error {
	free, err := d.space.Of(ctx, d.dir)
	if err != nil {
		return err //nolint:wrapcheck // it names the directory
	}
	if free-int64(n) < Reserve {
		return fmt.Errorf("%w: the file system has %d MiB left, and %d MiB are kept free", ErrFull, free>>20, Reserve>>20)
	}
	return nil
}

// Write stores a message and returns when it is on the disk. sure says of an error that nothing was stored.
func (d *Disk) Write(ctx context.Context, msg *nats.Msg) (sure bool, err error) {
	now := d.now.Load()
	if now == nil || d.Broken() {
		return true, ErrClosed
	}
	if err := ctx.Err(); err != nil { // the time is over before anything was sent: that is not the disk's fault
		return true, fmt.Errorf("spool: %w", err)
	}
	if err := d.room(ctx, len(msg.Data)); err != nil {
		return true, err
	}
	ctx, cancel := enough(ctx)
	defer cancel()
	_, err = natserr.Publish(ctx, now.js, msg, streamName)
	var refused *jetstream.APIError
	switch {
	case err == nil:
		d.full.Store(false)
		return true, nil
	case errors.As(err, &refused) && refused.ErrorCode == storeFailed:
		d.full.Store(true)
		return true, fmt.Errorf("%w: %w", ErrFull, err)
	case errors.As(err, &refused), natserr.TooLarge(err):
		return true, fmt.Errorf("spool: %w", err)
	}
	d.fault.Store(&err)
	return false, fmt.Errorf("spool: %w", err)
}

// enough gives a write the time that a disk may need, also if less is left: after a write that is given up nobody knows what is
// there, so the server is opened again.
func enough(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < LeastWrite {
		return context.WithTimeout(context.WithoutCancel(ctx), LeastWrite)
	}
	return ctx, func() {}
}

// Next returns the first message of a subject after a sequence, nil if there is none.
func (d *Disk) Next(ctx context.Context, subject string, after uint64) (*jetstream.RawStreamMsg, error) {
	now := d.now.Load()
	if now == nil {
		return nil, ErrClosed
	}
	m, err := now.stream.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(subject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil //nolint:nilnil // that there is none is no error
	}
	if err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	return m, nil
}

// Remove removes the messages of a subject up to and including a sequence.
func (d *Disk) Remove(ctx context.Context, subject string, last uint64) error {
	now := d.now.Load()
	if now == nil {
		return ErrClosed
	}
	err := now.stream.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(last+1))
	if err != nil {
		d.fault.Store(&err)
		return fmt.Errorf("remove from the spool: %w", err)
	}
	d.full.Store(false)
	return nil
}

// count asks the server what lies there.
func (d *Disk) count(ctx context.Context) (Content, error) {
	now := d.now.Load()
	if now == nil {
		return Content{}, ErrClosed
	}
	info, err := now.stream.Info(ctx, jetstream.WithSubjectFilter(subjects))
	if err != nil {
		return Content{}, fmt.Errorf("count what is in the spool: %w", err)
	}
	return Content{info.State.Subjects, info.State.Bytes, info.State.LastSeq}, nil
}

// Broken says whether the server has to be opened again before it can be used. Whoever opens it has the gate, perhaps for long.
func (d *Disk) Broken() bool { return d.fault.Load() != nil }

// Usable says whether a message could be written now, or why not. It does not wait long for a file system that hangs.
func (d *Disk) Usable() error {
	ctx, cancel := context.WithTimeout(context.Background(), spaceTimeout)
	defer cancel()
	if err := d.room(ctx, 0); err != nil {
		return err
	}
	if why := d.fault.Load(); why != nil {
		return *why
	}
	if d.full.Load() {
		return ErrFull
	}
	return nil
}
