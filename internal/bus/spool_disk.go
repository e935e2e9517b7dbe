package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/embedded"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

const (
	spoolStream   = "SPOOL"
	spoolSubjects = "spool.*" // spool.<cloud>

	// spoolReserve is what is left free of the file system. JetStream writes more than messages, and when it meets the end
	// of the disk it stops to answer.
	spoolReserve = 64 << 20
	// spoolPayload takes the largest body that may be configured, with its headers.
	spoolPayload = 66 << 20

	// leastWrite is the time that a write is given at least.
	leastWrite = time.Second

	// closeTimeout bounds how long the server below is waited for when it is to end, lookTimeoutDisk how long the file system
	// when somebody asks how the spool is.
	closeTimeout, lookTimeoutDisk = 5 * time.Second, time.Second

	storeFailed = 10077 // JetStream's code for a stream that has reached its limit
)

var (
	errSpoolFull   = errors.New("the spool is full")
	errSpoolClosed = errors.New("the spool is not open")
)

// disk is the server below a spool: JetStream on a local directory, with every message on the disk before it is
// acknowledged, and no way in but for this process.
type disk struct {
	dir      string
	maxBytes int64
	space    embedded.Space
	log      *slog.Logger
	lock     *os.File

	// mu is held for reading by who uses the server and keeps account of it, and for writing by who opens it anew or wants
	// to see all accounts at one moment.
	mu     gate
	over   bool // whether it was closed for good
	server *embedded.Server
	nc     *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream // nil while the server is not open

	fault atomic.Pointer[error] // why the server has to be opened anew
	full  atomic.Bool           // set when the last write met the stream's limit
}

// stock is what lies in a spool.
type stock struct {
	clouds      map[string]uint64 // subject -> messages
	bytes, last uint64            // the size of all; the sequence of the last one
}

// open starts the server and looks what is there. The caller has the lock for writing, or is alone.
func (d *disk) open(ctx context.Context) (stock, error) {
	started, err := embedded.Open(&server.Options{
		ServerName: "factro-bridge-spool", JetStream: true, StoreDir: d.dir, SyncAlways: true, DontListen: true,
		// The stream has the limit; the server's own would be a share of what is free now, and fall below it.
		JetStreamMaxStore: 1 << 50, JetStreamMaxMemory: 1 << 20,
		MaxPayload: spoolPayload, MaxPending: 4 * spoolPayload, NoLog: true, NoSigs: true,
	})
	if err != nil {
		return stock{}, err
	}
	d.server = started
	if d.nc, err = nats.Connect("", nats.InProcessServer(d.server), nats.Name("spool"), nats.FlusherTimeout(writeTimeout)); err != nil {
		return stock{}, fmt.Errorf("connect to the spool: %w", err)
	}
	if d.js, err = jetstream.New(d.nc); err != nil {
		return stock{}, fmt.Errorf("spool: %w", err)
	}
	d.stream, err = d.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: spoolStream, Subjects: []string{spoolSubjects}, Retention: jetstream.WorkQueuePolicy,
		Discard: jetstream.DiscardNew, MaxBytes: d.maxBytes, Storage: jetstream.FileStorage, AllowDirect: true,
	})
	if err != nil {
		return stock{}, fmt.Errorf("spool: %w", err)
	}
	return d.count(ctx)
}

// shut stops the server, and says whether it is stopped: on a disk that hangs it may not be. What is on the disk stays there.
func (d *disk) shut() bool {
	d.stream = nil
	if d.nc != nil {
		d.nc.Close()
	}
	d.nc = nil
	if d.server != nil && !d.server.Stop(closeTimeout) {
		return false
	}
	d.server = nil
	return true
}

// close stops the server and gives the directory back.
func (d *disk) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := d.mu.Lock(ctx); err != nil {
		d.log.Warn("the spool is left as it is, since its disk does not answer", "error", err)
		return // the directory is free when the process ends
	}
	defer d.mu.Unlock()
	d.over = true
	_ = d.shut()
	if err := embedded.UnlockDir(d.lock); err != nil {
		d.log.Warn("the lock of the spool could not be closed", "error", err)
	}
}

// room says whether the file system has more than the reserve left.
func (d *disk) room(ctx context.Context, n int) error {
	free, err := d.space.Of(ctx, d.dir)
	if err != nil {
		return err
	}
	if free-int64(n) < spoolReserve {
		return fmt.Errorf("%w: the file system has %d MiB left, of which %d MiB are kept free", errSpoolFull, free>>20, spoolReserve>>20)
	}
	return nil
}

// write stores a message and returns when it is on the disk. sure says of an error that nothing was stored.
func (d *disk) write(ctx context.Context, msg *nats.Msg) (sure bool, err error) {
	if d.stream == nil || d.fault.Load() != nil {
		return true, errSpoolClosed
	}
	if err := ctx.Err(); err != nil { // the time is over before anything was sent: that is not the disk's fault
		return true, fmt.Errorf("spool: %w", err)
	}
	if err := d.room(ctx, len(msg.Data)); err != nil {
		return true, err
	}
	ctx, cancel := enough(ctx)
	defer cancel()
	_, err = natserr.Publish(ctx, d.js, msg, spoolStream)
	var refused *jetstream.APIError
	switch {
	case err == nil:
		d.full.Store(false)
		return true, nil
	case errors.As(err, &refused) && refused.ErrorCode == storeFailed:
		d.full.Store(true)
		return true, fmt.Errorf("%w: %w", errSpoolFull, err)
	case errors.As(err, &refused), isTooLarge(err):
		return true, fmt.Errorf("spool: %w", err)
	}
	d.fault.Store(&err)
	return false, fmt.Errorf("spool: %w", err)
}

// mended waits until the server is open again, if that may be soon and ctx leaves time for a write: a disk that hangs for
// seconds is no reason to refuse a webhook that has the time.
func (d *disk) mended(ctx context.Context) bool {
	tick := time.NewTicker(mendEvery / 20)
	defer tick.Stop()
	for d.room(ctx, 0) == nil {
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < leastWrite {
			return false
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
		if d.fault.Load() == nil {
			return true
		}
	}
	return false
}

// enough gives a write the time that a disk may need, also if less is left: a write that is given up leaves nobody knowing
// what is there, so that the server is opened anew.
func enough(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < leastWrite {
		return context.WithTimeout(context.WithoutCancel(ctx), leastWrite)
	}
	return ctx, func() {}
}

// next returns the first message of a subject after a sequence, nil if there is none.
func (d *disk) next(ctx context.Context, subject string, after uint64) (*jetstream.RawStreamMsg, error) {
	if d.stream == nil {
		return nil, errSpoolClosed
	}
	m, err := d.stream.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(subject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil //nolint:nilnil // that there is none is no error
	}
	if err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	return m, nil
}

// remove forgets the messages of a subject up to and including a sequence.
func (d *disk) remove(ctx context.Context, subject string, last uint64) error {
	if d.stream == nil {
		return errSpoolClosed
	}
	err := d.stream.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(last+1))
	if err != nil {
		d.fault.Store(&err)
		return fmt.Errorf("remove from the spool: %w", err)
	}
	d.full.Store(false)
	return nil
}

// count asks the server what lies there.
func (d *disk) count(ctx context.Context) (stock, error) {
	if d.stream == nil {
		return stock{}, errSpoolClosed
	}
	info, err := d.stream.Info(ctx, jetstream.WithSubjectFilter(spoolSubjects))
	if err != nil {
		return stock{}, fmt.Errorf("look into the spool: %w", err)
	}
	return stock{info.State.Subjects, info.State.Bytes, info.State.LastSeq}, nil
}

// usable says whether a message could be written now, or why not.
func (d *disk) usable() error {
	ctx, cancel := context.WithTimeout(context.Background(), lookTimeoutDisk)
	defer cancel()
	if err := d.room(ctx, 0); err != nil {
		return err
	}
	if why := d.fault.Load(); why != nil {
		return *why
	}
	if d.full.Load() {
		return errSpoolFull
	}
	return nil
}

// mend opens the server anew after a write that was not answered: it switches itself off, or no longer answers for its
// stream, when the disk is full or cannot be written. seen is told what is there, before anybody else may use it.
func (d *disk) mend(ctx context.Context, seen func(stock)) {
	last := d.fault.Load()
	if last == nil {
		if d.server.Current().JetStreamEnabled() { // server is only changed where a fault is set, and here
			return
		}
		d.fault.Store(&errSpoolClosed)
	}
	if d.room(ctx, 0) != nil || d.mu.Lock(ctx) != nil {
		return
	}
	defer d.mu.Unlock()
	if d.over || !d.shut() { // two servers must not have one directory
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	found, err := d.open(ctx)
	if err != nil {
		_ = d.shut()
		if last == nil || (*last).Error() != err.Error() { // the same failure again and again is one line
			d.log.ErrorContext(ctx, "the spool cannot be opened; trying again", "error", err)
		}
		d.fault.Store(&err)
		return
	}
	seen(found)
	d.full.Store(false)
	d.fault.Store(nil)
	d.log.InfoContext(ctx, "the spool was opened anew", "bytes", found.bytes)
}
