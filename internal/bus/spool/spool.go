package spool

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/factro-bridge/factro-bridge/internal/bus/measure"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool/bodies"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool/disk"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool/limits"
	"github.com/factro-bridge/factro-bridge/internal/bus/spool/pace"
	"github.com/factro-bridge/factro-bridge/internal/embedded"
	"github.com/factro-bridge/factro-bridge/internal/logsample"
	"github.com/factro-bridge/factro-bridge/internal/plural"
)

// Spool takes webhooks for a connection.
type Spool struct {
	cfg        Config
	conn       Conn
	publisher  Publisher
	letters    DeadLetters
	log        *slog.Logger
	samples    *logsample.Sampler // of what is logged again and again
	tracer     trace.Tracer
	disk       *disk.Disk // nil without a directory
	limiter    *rate.Limiter
	throughput pace.Rate
	metrics    metrics
	bodies     bodies.Memory
	limits     limits.Saved

	seed  maphash.Seed
	locks [1024]chan struct{} // entity locks, one place each: the webhooks of an entity come one after the other

	attempt, patience, finalAfter time.Duration // directTimeout, lockPatience and refusalFinalAfter

	queues  *queues
	account account

	// Guarded by the disk: written where it is opened, read between Enter and Leave.
	old      uint64 // what lies up to this sequence was there when the disk was opened, so that the broker may have it
	openings int    // how often the disk was opened again
}

// Open opens the spool of cfg in front of a connection. Close gives its directory back. It is an error if another process has
// the directory, or if there can be none; a disk that cannot be written is not, and is tried again by Run.
func Open(ctx context.Context, cfg Config, conn Conn, publisher Publisher, letters DeadLetters, log *slog.Logger) (*Spool, error) {
	return open(ctx, cfg, conn, publisher, letters, log, embedded.FreeSpace)
}

func open(ctx context.Context, cfg Config, conn Conn, publisher Publisher, letters DeadLetters, log *slog.Logger, free func(string) (int64, error)) (*Spool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Spool{
		cfg: cfg, conn: conn, publisher: publisher, letters: letters, log: log, samples: logsample.New(time.Minute), tracer: otel.Tracer(measure.Scope),
		seed: maphash.MakeSeed(), queues: newQueues(),
		attempt: directTimeout, patience: lockPatience, finalAfter: refusalFinalAfter,
	}
	for i := range s.locks {
		s.locks[i] = make(chan struct{}, 1)
	}
	if cfg.Dir == "" {
		return s, nil
	}
	s.limiter = rate.NewLimiter(rate.Limit(cfg.DrainPerSecond), min(max(1, cfg.DrainPerSecond/10), roundSize))
	var err error
	if s.disk, err = disk.New(cfg.Dir, cfg.MaxBytes, free, log); err != nil {
		return nil, fmt.Errorf("spool.dir: %w", err)
	}
	if err = s.limits.Load(cfg.Dir); err != nil { // they are seen again as soon as NATS is there
		log.WarnContext(ctx, "the limits of NATS that were seen last cannot be read", "error", err)
	}
	if s.metrics, err = newMetrics(s); err != nil {
		s.disk.Close() //nolint:contextcheck // it has a time of its own
		return nil, err
	}
	if err := s.disk.Open(ctx, s.recount); err != nil {
		s.metrics.stop()
		s.disk.Close() //nolint:contextcheck // it has a time of its own
		return nil, fmt.Errorf("spool: %w", err)
	}
	if n := s.queues.waiting(); n > 0 {
		log.InfoContext(ctx, "webhooks wait in the spool", "messages", n)
	}
	return s, nil
}

// Close stops the spool's server and gives its directory back. What waits stays there.
func (s *Spool) Close() {
	if s.disk != nil {
		s.metrics.stop()
		s.saveLimits(context.Background())
		s.disk.Close()
	}
}

// Kept is how many webhooks were stored, spooled or quarantined, counted where they were.
func (s *Spool) Kept() int64 { return s.account.stored.Load() + s.account.written.Load() }

// State says in words what the spool does, and whether it could take a webhook now. Without a directory it is "".
func (s *Spool) State() (text string, ok bool) {
	if s.disk == nil {
		return "", false
	}
	switch err := s.disk.Usable(); {
	case errors.Is(err, disk.ErrFull):
		return "full: " + err.Error(), false
	case err != nil:
		return "not writable: " + err.Error(), false
	}
	switch n := s.queues.waiting(); n {
	case 0:
		return "empty", true
	default:
		return plural.Of(n, "event") + plural.Choose(n, " waits", " wait"), true
	}
}

// Drained waits until nothing of a cloud waits in the spool. It does not hurry it.
func (s *Spool) Drained(ctx context.Context, cloud string) error {
	q := s.queues.of(cloud)
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		if q.length() == 0 {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// account counts messages, each where it happens. What waits is the disk's own word.
type account struct {
	stored, written, drained, dead atomic.Int64
	moved                          atomic.Int64 // written once more, at the end, and not settled at their first place yet
	settled                        atomic.Int64 // drained or dead, and not removed yet
	unsure                         atomic.Int64 // writes that may be on the disk or not
	found                          atomic.Int64 // messages that were there at the start
}

// missing is what should be on the disk less what is.
func (a *account) missing(there disk.Content) int64 {
	waiting := int64(0)
	for _, n := range there.Messages {
		waiting += int64(n) //nolint:gosec // far below the limit of the type
	}
	return a.found.Load() + a.written.Load() + a.moved.Load() - a.drained.Load() - a.dead.Load() + a.settled.Load() - waiting
}

// recount begins the accounts again with what is on the disk, after it was opened. Nobody writes meanwhile. What the drains hold
// is read again, and the broker may have any of it.
func (s *Spool) recount(there disk.Content) {
	a := &s.account
	miss := a.missing(there)
	if miss <= a.settled.Load() { // removals and writes that were not answered, and were done
		miss = 0
	}
	a.settled.Store(0)
	a.unsure.Store(0)
	a.found.Add(miss - a.missing(there))
	s.old = there.Last
	s.openings++
	for subject := range there.Messages {
		s.queues.of(cloudOf(subject))
	}
	for _, q := range s.queues.list() {
		q.restart(there.Messages[disk.Subject(q.cloud)])
	}
}
