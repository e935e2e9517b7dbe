package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/bus/state"
	"github.com/factro-bridge/factro-bridge/internal/control"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/mirror/echo"
	"github.com/factro-bridge/factro-bridge/internal/mirror/queue"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Config says what of a cloud is mirrored, and how.
type Config struct {
	Cloud, Source string
	Prefix        events.Prefix
	// Resources are those that are mirrored, Drop the properties of each that are neither stored nor published.
	Resources []string
	Drop      map[string][]string
	// Settle is how long after an event its object is read, with what has come meanwhile.
	Settle time.Duration
	// Recheck is how long after an event a reading that shows nothing new is not believed.
	Recheck time.Duration
	// Verify is how often all objects are compared with factro's lists, 0 for never.
	Verify time.Duration
	// Share is the part of the request budget that reading lists may take, from 0 to 1.
	Share float64
	// Whole has changes hold whole objects.
	Whole bool
}

// Lease is the right to mirror a cloud. Its value is how far the work is.
type Lease interface {
	validity
	keeper
	// Release gives it back.
	Release(ctx context.Context)
}

type validity interface {
	// Until is the time up to which the holder may act, zero if the lease is lost.
	Until() time.Time
	// Lost is closed when the lease is lost, Yield when another bridge should have it.
	Lost() <-chan struct{}
	Yield() <-chan struct{}
}

type keeper interface {
	// Value is what the last holder kept, Keep keeps it for the next one.
	Value() json.RawMessage
	Keep(ctx context.Context, value json.RawMessage) error
}

// Pauses says whether an operator has paused the mirror.
type Pauses interface {
	AwaitKnown(ctx context.Context) error
	AwaitFree(ctx context.Context, cloud string, d control.Direction) error
}

// Parts is what the mirror works with.
type Parts struct {
	API    *coreapi.API
	Store  *state.Store
	Events Events
	// Results tell which commands may have caused a change.
	Results Results
	Pauses  Pauses
	// Acquire waits for the lease of the cloud.
	Acquire func(ctx context.Context) (Lease, error)
	// Serve answers what operators ask the bridge that mirrors the cloud, until ctx ends.
	Serve func(ctx context.Context, answer func(request []byte) queries.Answer) error
}

// Mirror mirrors one cloud.
type Mirror struct {
	cfg       Config
	parts     Parts
	log       *slog.Logger
	resources map[string]factro.Mirrored
	metrics   *metrics
	tracer    trace.Tracer

	mu      sync.Mutex
	current *session // nil while another bridge mirrors the cloud
}

// New builds the mirror of a cloud.
func New(cfg Config, parts Parts, log *slog.Logger) (*Mirror, error) {
	m := &Mirror{cfg: cfg, parts: parts, log: log, resources: map[string]factro.Mirrored{}, tracer: otel.Tracer(scope)}
	for _, r := range cfg.Resources {
		known, ok := factro.MirrorOf(r)
		if !ok {
			return nil, fmt.Errorf("mirror.resources: %q cannot be mirrored", r)
		}
		m.resources[r] = known
	}
	var err error
	m.metrics, err = newMetrics(m)
	return m, err
}

// session is the work of one bridge while it has the lease.
type session struct {
	*Mirror
	lease     Lease
	queue     *queue.Queue
	commands  *echo.Recent
	parentage parentage
	late      atomic.Int64 // how many objects showed a change only when they were read again

	mu       sync.Mutex
	progress Progress
	unsaved  bool
	wanted   chan string // kinds of sweeps that somebody wants now
}

const (
	// mostEvents bounds the events that wait for a reading. More stay in the stream.
	mostEvents = 2000
	// readers is how many objects are read at once.
	readers = 4
	// saveEvery is how often the progress is kept. What is not kept is read again by the next bridge.
	saveEvery = 2 * time.Second
	// lookEvery is how many times that is between looks at the stream of events.
	lookEvery = 5
	// againAfter is how long a bridge waits that has lost its lease, or could not begin.
	againAfter = time.Second
)

// Run mirrors the cloud until ctx ends, whenever this bridge has the lease.
func (m *Mirror) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := m.serve(ctx); err != nil && ctx.Err() == nil {
			m.log.WarnContext(ctx, "the mirror of a cloud stands still; it goes on by itself", "cloud", m.cfg.Cloud, "error", err)
		}
		select {
		case <-time.After(againAfter):
		case <-ctx.Done():
		}
	}
	return nil
}

// serve waits for the lease and mirrors the cloud while this bridge has it.
func (m *Mirror) serve(ctx context.Context) error {
	lease, err := m.parts.Acquire(ctx)
	if err != nil {
		return err
	}
	return m.lead(ctx, lease)
}

var (
	errOver        = errors.New("another bridge mirrors the cloud")
	errOtherStream = errors.New("the stream of events was made again")
)

// lead mirrors the cloud with a lease, and releases it. That another bridge takes the lease is no error.
func (m *Mirror) lead(ctx context.Context, lease Lease) error {
	s, err := m.begin(ctx, lease)
	if err == nil {
		m.set(s)
		if err = s.run(ctx); errors.Is(err, errOver) {
			err = nil
		}
		m.set(nil)
		s.save(context.WithoutCancel(ctx))
	}
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveEvery)
	defer cancel()
	lease.Release(release)
	return err
}

func (m *Mirror) set(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current = s
}

// now returns the session, nil if another bridge mirrors the cloud.
func (m *Mirror) now() *session {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.current
}

// begin goes on where the last bridge was.
func (m *Mirror) begin(ctx context.Context, lease Lease) (*session, error) {
	s := &session{Mirror: m, lease: lease, wanted: make(chan string, 1), commands: echo.New(echo.Limits{Age: rememberFor, Drop: m.cfg.Drop})}
	var err error
	if s.progress, err = decode(lease.Value()); err != nil {
		m.log.WarnContext(ctx, "how far the mirror of a cloud was cannot be read; all is read again", "cloud", m.cfg.Cloud, "error", err)
	}
	last, created, err := m.parts.Events.End(ctx)
	if err != nil {
		return nil, err
	}
	p := &s.progress
	if !p.Created.Equal(created) || p.Next > last+1 || !slices.Equal(p.Resources, m.names()) {
		// A new stream, or other resources: what was before is not known. The first snapshot covers it.
		again := !p.Complete.IsZero() && p.Created.Equal(created) && p.Next <= last+1
		next := p.Next
		*p = Progress{Created: created, Next: last + 1, Resources: m.names()}
		if again {
			p.Next = next
		}
		s.unsaved = true
	}
	s.queue = queue.New(mostEvents, p.Next-1)
	return s, nil
}

// names are the resources in their order: parents come before what is listed for each of them.
func (m *Mirror) names() []string {
	all := slices.Sorted(maps.Keys(m.resources))
	slices.SortStableFunc(all, func(a, b string) int { return m.depth(a) - m.depth(b) })
	return all
}

func (m *Mirror) depth(resource string) int {
	n := 0
	for each := m.resources[resource].Each; each != ""; each = m.resources[each].Each {
		n++
	}
	return n
}

// run works until the lease is over or ctx ends.
func (s *session) run(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error {
		select {
		case <-s.lease.Lost():
			return errOver
		case <-s.lease.Yield():
			return errOver
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	work.Go(func() error { return s.follow(ctx) })
	work.Go(func() error { return s.followResults(ctx) })
	for range readers {
		work.Go(func() error { return s.readQueued(ctx) })
	}
	work.Go(func() error { return s.sweeps(ctx) })
	work.Go(func() error { return s.parts.Serve(ctx, s.answer) })
	work.Go(func() error { return s.keep(ctx) })
	err := work.Wait()
	if errors.Is(err, context.Canceled) {
		return nil // the bridge stops
	}
	return err
}

// keep keeps the progress from time to time, until the lease is over or the stream of events is another one.
func (s *session) keep(ctx context.Context) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.save(ctx)
		if n%lookEvery > 0 {
			continue
		}
		if _, created, err := s.parts.Events.End(ctx); err == nil && !created.Equal(s.look().Created) {
			return errOtherStream
		}
	}
}

// may says whether this bridge may still write.
func (s *session) may() error {
	if time.Now().Before(s.lease.Until()) {
		return nil
	}
	return errOver
}

// gone says whether a status tells that the object is not there, or not for this key.
func gone(status int) bool {
	return status == http.StatusNotFound || status == http.StatusGone || status == http.StatusForbidden
}
