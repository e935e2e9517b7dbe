package ensure

import (
	"log/slog"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/bus/takeover"
)

// Ensurer makes and checks the streams and buckets of the clouds of one connection.
type Ensurer struct {
	conn    *bus.Conn
	cfg     bus.Config
	log     *slog.Logger
	older   *takeover.Takeover
	timeout time.Duration // of one check of a cloud

	originals *objects.Originals

	mu            sync.Mutex
	epoch         int       // of the connection that the rest is about
	shares        float64   // what of their sizes streams that are made may have; 0 for all
	probe         *probe    // that of this bridge, while it shares out the room
	probed        string    // the subject of the last one that it asked for
	swept         bool      // no probe was left, on this connection
	stocked       bool      // the buckets were looked for, on this connection
	consumersSeen time.Time // when the consumers were checked last

	measuring sync.RWMutex // held for writing while the probe has the room

	probeHeld, probeStale time.Duration // the constants of these names
}

// Connect is bus.Connect for a connection that checks its streams, and what makes them.
func Connect(cfg bus.Config, log *slog.Logger, options ...bus.Option) (conn *bus.Conn, streams *Ensurer, err error) {
	conn, err = bus.Connect(cfg, log, append(options, bus.WithStreams(func(b *bus.Conn) bus.Streams {
		streams = New(b, log)
		return streams
	}))...)
	return conn, streams, err
}

// Option changes how streams are made.
type Option func(*Ensurer)

// WithProbe has the probe kept for so long at most, and given up for stale at this age.
func WithProbe(held, stale time.Duration) Option {
	return func(e *Ensurer) { e.probeHeld, e.probeStale = held, stale }
}

// WithNearly has streams of an older version give up their subjects when so many messages are left to copy.
func WithNearly(messages uint64) Option {
	return func(e *Ensurer) { e.older.Nearly = messages }
}

// New returns what makes and checks the streams of a connection. It asks nobody.
func New(conn *bus.Conn, log *slog.Logger, options ...Option) *Ensurer {
	timing := conn.Timing()
	e := &Ensurer{
		conn: conn, cfg: conn.Settings(), log: log, older: takeover.New(conn, timing.CheckTimeout, timing.AckWait, log), timeout: timing.CheckTimeout,
		probeHeld: probeHeld, probeStale: probeStale,
	}
	e.originals = objects.NewOriginals(conn, e, log)
	for _, change := range options {
		change(e)
	}
	return e
}

// renew forgets what was found on another connection.
func (e *Ensurer) renew() {
	epoch := e.conn.Epoch()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.epoch != epoch {
		e.epoch, e.swept, e.stocked, e.consumersSeen = epoch, false, false, time.Time{}
	}
}

// first is one of several errors, the same one each time, and how many more there are.
func first(errs []error) error { return bus.First(errs) }
