package lease

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/factro-bridge/factro-bridge/internal/bus/stored"
	"github.com/factro-bridge/factro-bridge/internal/logsample"
)

// FleetTTL is how long the leases of a fleet hold without being renewed: a bridge that dies is replaced after about as long.
const FleetTTL = 6 * time.Second

// FleetConn is what a fleet needs of the connection to NATS.
type FleetConn interface {
	Conn
	stored.Conn
}

// Fleet are the bridges that work beside each other. They share leases evenly: each announces which leases it wants, and one that has
// more than its share gives leases up for another that has fewer.
type Fleet struct {
	conn   FleetConn
	leases *Leases
	me     Member
	log    *slog.Logger
	ttl    time.Duration
	poke   chan struct{} // the announcement has to be made again
	failed *logsample.Sampler
	tell   func(Takeover)

	metrics metric.Registration

	mu     sync.Mutex
	claims map[string]*claim
	peers  int // bridges that are there
}

// claim is a lease that this bridge has or waits for.
type claim struct {
	chance chan seen // an entry that may be replaced now
	blind  chan struct{}
	held   *Lease    // nil while it waits
	free   time.Time // since when the lease is free, and another bridge should have it
	leave  bool      // the last look said that another bridge should have it
}

// NewFleet returns the fleet in which this process is the member me. The ID is made if it is empty. Close it at the end.
func NewFleet(conn FleetConn, room Room, me Member, log *slog.Logger, options ...Option) (*Fleet, error) {
	if me.ID == "" {
		me.ID = newID()
	}
	ls := New(conn, room, log, append([]Option{WithTTL(FleetTTL)}, options...)...)
	ls.bridge = me.ID
	f := &Fleet{
		conn: conn, leases: ls, me: me, log: log, ttl: ls.ttl, poke: make(chan struct{}, 1), failed: logsample.New(time.Minute),
		claims: map[string]*claim{}, tell: func(Takeover) {},
	}
	var err error
	f.metrics, err = f.observe()
	return f, err
}

// Takeover is that a bridge has the lease for a work on a cloud that another bridge had before.
type Takeover struct {
	Work, Cloud, From, To string
	Silent                bool // the other one did not give it back
}

// OnTakeover has tell hear of the leases that this bridge takes over, from before Run on. tell must not block.
func (f *Fleet) OnTakeover(tell func(Takeover)) { f.tell = tell }

// Close ends what is measured. An error says that it is not registered any more.
func (f *Fleet) Close() { _ = f.metrics.Unregister() }

var noToken = regexp.MustCompile(`[^a-zA-Z0-9-]+`)

// newID is that of this run of the process: people find the host by it, and a restart is another one.
func newID() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "bridge"
	}
	return noToken.ReplaceAllString(host, "-") + "-" + strings.ToLower(rand.Text()[:8])
}

// ID is the name of this bridge in the fleet.
func (f *Fleet) ID() string { return f.me.ID }

// Acquire takes the lease of a key as soon as nobody else has it and it is this bridge's to take, and renews it until Release. It
// waits as long as ctx allows. A key is acquired once at a time. Run has to run meanwhile.
func (f *Fleet) Acquire(ctx context.Context, key string) (*Lease, error) {
	c := &claim{chance: make(chan seen, 1), blind: make(chan struct{}, 1)}
	f.mu.Lock()
	if f.claims[key] != nil {
		f.mu.Unlock()
		return nil, fmt.Errorf("lease of %s: this bridge has it, or waits for it already", key)
	}
	f.claims[key] = c
	f.mu.Unlock()
	f.changed()
	l, err := f.acquire(ctx, key, c)
	if err != nil {
		f.drop(key)
		return nil, fmt.Errorf("lease of %s: %w", key, err)
	}
	l.released = func() { f.drop(key) }
	f.mu.Lock()
	c.held = l
	f.mu.Unlock()
	l.start(ctx)
	from, silent := l.Predecessor()
	f.log.InfoContext(ctx, "this bridge has taken a lease", "lease", key, "from", from, "silent", silent, "bridge", f.me.ID)
	if work, cloud, ok := strings.Cut(key, "."); ok && from != "" && from != f.me.ID {
		f.tell(Takeover{Work: work, Cloud: cloud, From: from, To: f.me.ID, Silent: silent})
	}
	return l, nil
}

func (f *Fleet) acquire(ctx context.Context, key string, c *claim) (*Lease, error) {
	for {
		kv, err := f.leases.open(ctx)
		if err != nil {
			return nil, err
		}
		l := f.leases.lease(kv, key)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case have := <-c.chance:
			err = l.occupy(ctx, have.holding, have.revision)
		case <-c.blind: // the others cannot be seen; whoever comes first has it
			attempt, cancel := context.WithTimeout(ctx, 2*f.ttl)
			err = l.take(attempt)
			cancel()
		}
		switch {
		case err == nil:
			return l, nil
		case isRefusedWrite(err):
			return nil, err
		}
	}
}

// drop ends a claim.
func (f *Fleet) drop(key string) {
	f.mu.Lock()
	delete(f.claims, key)
	f.mu.Unlock()
	f.changed()
}

// changed has Run announce soon what this bridge wants.
func (f *Fleet) changed() {
	select {
	case f.poke <- struct{}{}:
	default: // it is going to
	}
}
