package ensure

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/bus/health"
	"github.com/factro-bridge/factro-bridge/internal/bus/objects"
	"github.com/factro-bridge/factro-bridge/internal/bus/takeover"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

// Ensurer makes and checks the streams and buckets of the clouds of one connection.
type Ensurer struct {
	conn    *bus.Conn
	cfg     bus.Config
	log     *slog.Logger
	older   *takeover.Takeover
	timeout time.Duration // of one check of a cloud

	room      *room
	consumers *consumers
	originals *objects.Originals

	mu      sync.Mutex
	epoch   int  // of the connection that the rest is about
	stocked bool // the buckets were looked for, on this connection
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
	return func(e *Ensurer) { e.room.probeHeld, e.room.probeStale = held, stale }
}

// WithNearly has streams of an older version give up their subjects when so many messages are left to copy.
func WithNearly(messages uint64) Option {
	return func(e *Ensurer) { e.older.Nearly = messages }
}

// olderAckWait is how long an older version's command that died with its bridge is not delivered again.
const olderAckWait = 10 * time.Second

// New returns what makes and checks the streams of a connection. It asks nobody.
func New(conn *bus.Conn, log *slog.Logger, options ...Option) *Ensurer {
	timing := conn.Timing()
	e := &Ensurer{
		conn: conn, cfg: conn.Settings(), log: log, older: takeover.New(conn, timing.CheckTimeout, min(timing.AckWait, olderAckWait), log), timeout: timing.CheckTimeout,
	}
	e.room = &room{conn: conn, cfg: e.cfg, log: log, probeHeld: probeHeld, probeStale: probeStale}
	e.consumers = &consumers{conn: conn, cfg: e.cfg, log: log, older: e.older, timeout: e.timeout, next: map[string]time.Time{}}
	e.originals = objects.NewOriginals(conn, e, log)
	for _, change := range options {
		change(e)
	}
	return e
}

// WithRoom has a stream or bucket made with its size, or with its share of the room that NATS has, and with a quarter of that
// again and again as long as there is no room. made says whether this call made it, and not somebody else.
func (e *Ensurer) WithRoom(ctx context.Context, what string, kind topology.Kind, create func(context.Context, int64) error) (made bool, _ error) {
	return e.room.create(ctx, what, kind, create)
}

// renew forgets what was found on another connection.
func (e *Ensurer) renew() {
	epoch := e.conn.Epoch()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.epoch != epoch {
		e.epoch, e.stocked = epoch, false
		e.room.setSwept(false)
		e.consumers.reset()
	}
}

// first is one of several errors, the same one each time, and how many more there are.
func first(errs []error) error { return health.First(errs) }
