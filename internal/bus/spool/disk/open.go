package disk

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/embedded"
)

const (
	streamName = "SPOOL"
	subjects   = "spool.*" // see Subject

	// openTimeout bounds how long the server may take to report what is there, closeTimeout how long it may take to stop, writeTimeout
	// how long the client waits until the server takes what is written to its connection.
	openTimeout, closeTimeout, writeTimeout = 10 * time.Second, 5 * time.Second, 10 * time.Second
)

// Subject is that of a cloud's messages.
func Subject(cloud string) string { return "spool." + cloud }

// running is a server that is open.
type running struct {
	server *embedded.Server
	nc     *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
}

// Open opens the server for the first time and calls opened with what is there, before others may use it. A disk that is full
// or cannot be written is logged, and is an error only to Usable: Repair tries again.
func (d *Disk) Open(ctx context.Context, opened func(Content)) error {
	if err := d.gate.Lock(ctx); err != nil {
		return err
	}
	defer d.gate.Unlock()
	found, err := d.open(ctx)
	if err != nil {
		d.failed(ctx, err, nil)
		return nil
	}
	opened(found)
	return nil
}

// failed notes why the server cannot be opened. The same failure again and again is one line in the log.
func (d *Disk) failed(ctx context.Context, err error, last *error) {
	_ = d.shut()
	if last == nil || (*last).Error() != err.Error() {
		d.log.ErrorContext(ctx, "the spool cannot be opened; trying again", "error", err)
	}
	d.fault.Store(&err)
}

// open starts the server and counts what is there. The caller has the gate for writing.
func (d *Disk) open(ctx context.Context) (Content, error) {
	started, err := embedded.Open(&server.Options{
		ServerName: "factro-bridge-spool", JetStream: true, StoreDir: d.dir, SyncAlways: true, DontListen: true,
		// The stream has the limit; the server's own would be a share of what is free now, and fall below it.
		JetStreamMaxStore: 1 << 50, JetStreamMaxMemory: 1 << 20,
		MaxPayload: maxPayload, MaxPending: 4 * maxPayload, NoLog: true, NoSigs: true,
	})
	if err != nil {
		return Content{}, err //nolint:wrapcheck // it says that the server did not start
	}
	d.stopping = started // until it is open
	now := running{server: started}
	if now.nc, err = nats.Connect("", nats.InProcessServer(started), nats.Name("spool"), nats.FlusherTimeout(writeTimeout)); err != nil {
		return Content{}, fmt.Errorf("connect to the spool: %w", err)
	}
	if now.js, err = jetstream.New(now.nc); err == nil {
		now.stream, err = now.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name: streamName, Subjects: []string{subjects}, Retention: jetstream.WorkQueuePolicy,
			Discard: jetstream.DiscardNew, MaxBytes: d.maxBytes, Storage: jetstream.FileStorage, AllowDirect: true,
		})
	}
	if err != nil {
		now.nc.Close()
		return Content{}, fmt.Errorf("spool: %w", err)
	}
	d.stopping = nil
	d.now.Store(&now)
	return d.count(ctx)
}

// shut stops the server, and says whether it has stopped: on a disk that hangs it may not. What is on the disk stays there.
func (d *Disk) shut() bool {
	if now := d.now.Swap(nil); now != nil {
		now.nc.Close()
		d.stopping = now.server
	}
	if d.stopping != nil && !d.stopping.Stop(closeTimeout) {
		return false
	}
	d.stopping = nil
	return true
}

// Close stops the server and gives the directory back. What is on the disk stays there.
func (d *Disk) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := d.gate.Lock(ctx); err != nil {
		d.log.Warn("the spool is left as it is, since its disk does not answer", "error", err)
		return // the directory is free when the process ends
	}
	defer d.gate.Unlock()
	d.over = true
	_ = d.shut()
	if err := embedded.UnlockDir(d.lock); err != nil {
		d.log.Warn("the lock of the spool could not be closed", "error", err)
	}
}

// Repair opens the server again after a write that was not answered: the server switches itself off, or no longer answers for its
// stream, when the disk is full or cannot be written. opened is called with what is there, before others may use it.
func (d *Disk) Repair(ctx context.Context, opened func(Content)) {
	last := d.fault.Load()
	if last == nil {
		if now := d.now.Load(); now != nil && now.server.Current().JetStreamEnabled() {
			return
		}
		d.fault.Store(&ErrClosed)
	}
	if d.room(ctx, 0) != nil || d.gate.Lock(ctx) != nil {
		return
	}
	defer d.gate.Unlock()
	if d.over || !d.shut() { // two servers must not have one directory
		return
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	found, err := d.open(ctx)
	if err != nil {
		d.failed(ctx, err, last)
		return
	}
	opened(found)
	d.full.Store(false)
	d.fault.Store(nil)
	d.log.InfoContext(ctx, "the spool was opened again", "bytes", found.Bytes)
}

// AwaitRepaired waits until the server is open again, if that may be soon and ctx leaves time for a write: a disk that hangs for
// seconds is no reason to refuse a webhook that has the time.
func (d *Disk) AwaitRepaired(ctx context.Context) bool {
	tick := time.NewTicker(RepairEvery / 20)
	defer tick.Stop()
	for d.room(ctx, 0) == nil {
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < LeastWrite {
			return false
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
		if !d.Broken() {
			return true
		}
	}
	return false
}
