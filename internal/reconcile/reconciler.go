package reconcile

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
)

// Payloads are factro's stored payloads.
type Payloads interface {
	// Stored passes on each record since a time, without the secrets of webhooks, in any order.
	Stored(ctx context.Context, since time.Time, each func(record []byte) error) error
}

// Journal is the stream of events.
type Journal interface {
	// Events passes on the events of a cloud that the stream took since a time. whole is the time since when the stream is
	// complete; zero if it has everything.
	Events(ctx context.Context, cloud string, since time.Time, each func(journal.Message)) (whole time.Time, err error)
	// Outage returns when NATS was last unreachable, and since when it is back; back is zero if it never was away, lost if
	// it was away from the beginning.
	Outage() (lost, back time.Time)
	Publisher
}

// Publisher stores what is missing.
type Publisher interface {
	// Publish stores an event, once for each id.
	Publish(ctx context.Context, subject string, e event.Event, id string) error
	// Quarantine stores what cannot be published as a dead letter, with the reason.
	Quarantine(ctx context.Context, subject, id, code string, reason error, data []byte, request http.Header) error
}

// Leases let one process work at a time.
type Leases interface {
	// Acquire takes the lease of a key as soon as nobody else has it.
	Acquire(ctx context.Context, key string) (*lease.Lease, error)
}

// Spool holds events that could not be published yet.
type Spool interface {
	// Drained waits until this process holds back no event of the cloud.
	Drained(ctx context.Context, cloud string) error
}

// Reconciler reconciles one cloud.
type Reconciler struct {
	cfg          Config
	log          *slog.Logger
	payloads     Payloads
	journal      Journal
	leases       Leases
	spool        Spool // may be nil
	metrics      *metrics
	tracer       trace.Tracer
	most         int                  // records at once; maxRecords
	deadLettered map[string]time.Time // events that the broker refused permanently, by id, so that they are not reported again
	newID        func() string
	trigger      chan struct{}
	lead         chan struct{} // the timer is due
	follows      atomic.Bool
}

// New builds a reconciler. spool may be nil.
func New(cfg Config, payloads Payloads, journal Journal, leases Leases, spool Spool, log *slog.Logger) (*Reconciler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg)
	if err != nil {
		return nil, err
	}
	return &Reconciler{
		cfg: cfg, log: log, payloads: payloads, journal: journal, leases: leases, spool: spool, metrics: m, most: maxRecords, deadLettered: map[string]time.Time{},
		tracer: otel.Tracer(scope), newID: func() string { return uuid.Must(uuid.NewV7()).String() }, trigger: make(chan struct{}, 1), lead: make(chan struct{}, 1),
	}, nil
}

// Trigger makes Run reconcile soon, as after an outage. It does not wait.
func (r *Reconciler) Trigger() {
	select {
	case r.trigger <- struct{}{}:
	default: // a run is already pending
	}
}

// Follow leaves the timer to another process, until Lead. Run still reconciles at once, and when it is triggered: what this process
// has missed it knows best.
func (r *Reconciler) Follow() { r.follows.Store(true) }

// Lead has the timer of this process count, as it does without Follow. Run reconciles soon, unless another process just did.
func (r *Reconciler) Lead() {
	r.follows.Store(false)
	select {
	case r.lead <- struct{}{}:
	default: // it is due already
	}
}

// Run reconciles at once, then on the timer and when it is triggered, until ctx ends. A failed run is logged once, and the
// timer tries again. While records are too young to be missing, the next run starts when they are old enough.
func (r *Reconciler) Run(ctx context.Context) error {
	r.metrics.count(ctx, Report{}) // start at 0, so that the first loss shows as growth
	var rested time.Time           // when triggers are accepted again
	for next, onTimer := time.Duration(0), false; ; {
		timer, due := time.NewTimer(next), time.Now().Add(next)
		select {
		case <-ctx.Done():
		case <-timer.C:
			if onTimer && r.follows.Load() {
				next = r.cfg.Every
				continue
			}
		case <-r.lead:
			if !onTimer { // a run is due at once, or when records are old enough
				next = max(0, time.Until(due))
				timer.Stop()
				continue
			}
		case <-r.trigger:
			onTimer = false
			if next = time.Until(rested); next > 0 {
				timer.Stop()
				continue
			}
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the normal end
		}
		report, err := r.run(ctx, Request{}, onTimer)
		if err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "reconciliation failed; the timer tries again", "cloud", r.cfg.Cloud, "error", err,
				"published", report.Published)
		}
		next, onTimer, rested = r.cfg.Every, true, time.Now().Add(min(rest, r.cfg.Every))
		if soon := max(r.cfg.Grace, time.Second); err == nil && report.Young > 0 && soon < next {
			next, onTimer = soon, false
		}
	}
}
