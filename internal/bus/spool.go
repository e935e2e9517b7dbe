package bus

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/embedded"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// SpoolConfig says where webhooks wait while the broker takes none.
type SpoolConfig struct {
	// Dir is the directory of the spool, of one process alone; "" means that there is none.
	Dir string
	// MaxBytes bounds what waits, in bytes.
	MaxBytes int64
	// DrainPerSecond bounds how many messages a second go to the broker once it is back.
	DrainPerSecond int
}

// minSpool is the least that a spool has to hold: a few webhooks of the usual limit.
const minSpool = 16 << 20

// Validate reports every mistake.
func (c SpoolConfig) Validate() error {
	if c.Dir == "" {
		return nil
	}
	var errs []error
	if c.MaxBytes < minSpool {
		errs = append(errs, fmt.Errorf("spool.max_bytes: %s is less than 16MiB", plural.Of(c.MaxBytes, "byte")))
	}
	if c.DrainPerSecond < 1 {
		errs = append(errs, fmt.Errorf("spool.drain_per_second: %d is not positive", c.DrainPerSecond))
	}
	return errors.Join(errs...)
}

const (
	// directTimeout bounds how long a webhook waits for the broker before it goes to the spool. While a broker hangs, each
	// takes one of the places that http.max_in_flight gives for as long.
	directTimeout = time.Second
	// turnPatience is how long a webhook may have waited for an earlier one of its entity and still be tried at the broker.
	// Behind a slow one the queue would grow until its end has no time left; the spool is quicker.
	turnPatience = 500 * time.Millisecond
)

// Headers of a spooled message, beside those that it goes to the broker with.
const (
	headerSpool        = "Factro-Spool-"
	headerSpoolSubject = headerSpool + "Subject" // where it goes
	headerSpoolID      = headerSpool + "Id"      // its message id
	headerSpoolTried   = headerSpool + "Tried"   // set if the broker may have it already
)

// Spool takes webhooks for a Conn. While the broker takes none, it keeps them on the local disk and hands them over later,
// under their message ids and, for each entity, in the order of their arrival. Without a directory it only keeps that
// order.
type Spool struct {
	cfg     SpoolConfig
	bus     *Conn
	letters DeadLetters
	log     *slog.Logger
	disk    *disk // nil without a directory
	limiter *rate.Limiter
	tempo   tempo
	metrics spoolMetrics
	bodies  bodies

	seed  maphash.Seed
	turns [1024]chan struct{} // one place each: the webhooks of an entity come one after the other

	attempt, patience time.Duration // directTimeout and turnPatience

	mu    sync.Mutex
	lanes map[string]*lane
	begin chan struct{} // has a token when a lane has no drain yet

	// Accounts: each is counted where it happens, and what waits is the disk's own word.
	stored, written, drained, dead atomic.Int64
	moved                          atomic.Int64 // written once more, at the end, and not settled at their first place yet
	settled                        atomic.Int64 // drained or dead, and not removed yet
	unsure                         atomic.Int64 // writes of which nobody knows whether they are on the disk

	// Guarded by the lock of disk.
	found    atomic.Int64 // messages that were there at the start
	old      uint64       // what lies up to this sequence was there when the disk was opened, so that the broker may have it
	openings int          // how often the disk was opened anew
}

// OpenSpool opens the spool of cfg in front of a Conn. Close gives its directory back. It is an error if another process
// has the directory, or if there can be none; a disk that cannot be written is not, and is tried again by Run.
func OpenSpool(ctx context.Context, cfg SpoolConfig, b *Conn, letters DeadLetters, log *slog.Logger) (*Spool, error) {
	return openSpool(ctx, cfg, b, letters, log, embedded.FreeSpace)
}

func openSpool(ctx context.Context, cfg SpoolConfig, b *Conn, letters DeadLetters, log *slog.Logger, free func(string) (int64, error)) (*Spool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Spool{
		cfg: cfg, bus: b, letters: letters, log: log, seed: maphash.MakeSeed(), lanes: map[string]*lane{}, begin: make(chan struct{}, 1),
		attempt: directTimeout, patience: turnPatience,
	}
	for i := range s.turns {
		s.turns[i] = make(chan struct{}, 1)
	}
	if cfg.Dir == "" {
		return s, nil
	}
	s.limiter = rate.NewLimiter(rate.Limit(cfg.DrainPerSecond), min(max(1, cfg.DrainPerSecond/10), roundSize))
	lock, err := embedded.LockDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("spool.dir: %w", err)
	}
	if err := embedded.CheckTree(cfg.Dir); err != nil {
		return nil, errors.Join(fmt.Errorf("spool.dir: %w", err), embedded.UnlockDir(lock))
	}
	was, err := SavedLimits(cfg.Dir)
	if err != nil { // they are seen again as soon as NATS is there
		log.WarnContext(ctx, "the limits of NATS that were seen last cannot be read", "error", err)
	}
	b.limits.restore(was)
	s.disk = &disk{dir: cfg.Dir, maxBytes: cfg.MaxBytes, space: embedded.NewSpace(free), log: log, lock: lock, mu: newGate()}
	if s.metrics, err = newSpoolMetrics(s); err != nil {
		s.disk.close() //nolint:contextcheck // it has a time of its own
		return nil, err
	}
	if err := s.disk.mu.Lock(ctx); err != nil {
		s.disk.close() //nolint:contextcheck // it has a time of its own
		return nil, fmt.Errorf("spool: %w", err)
	}
	defer s.disk.mu.Unlock()
	there, err := s.disk.open(ctx)
	if err != nil { // a disk that is full now is no reason to refuse what the broker would take
		log.ErrorContext(ctx, "the spool cannot be opened; trying again", "error", err)
		_ = s.disk.shut()
		s.disk.fault.Store(&err)
		return s, nil
	}
	s.recount(there)
	if n := s.waiting(); n > 0 {
		log.InfoContext(ctx, "webhooks wait in the spool", "messages", n)
	}
	return s, nil
}

// Close stops the spool's server and gives its directory back. What waits stays there.
func (s *Spool) Close() {
	if s.disk != nil {
		s.metrics.stop()
		s.saveLimits(context.Background())
		s.disk.close()
	}
}

// saveLimits writes down what the broker takes, for a start without it.
func (s *Spool) saveLimits(ctx context.Context) {
	if err := s.bus.limits.save(s.cfg.Dir); err != nil {
		if skipped, due := s.bus.samples.Due("limits", time.Now()); due {
			s.log.WarnContext(ctx, "the limits of NATS cannot be written down for a start without it", "error", err, "not_logged", skipped)
		}
	}
}

// Publish stores an event in the stream that takes its subject, or in the spool, and returns when it is durable. storedAs is
// the id under which it is stored, which is another one than its own if that is the id of an event with another body.
// events.ErrTooLarge says that no message can hold it. Other errors tell by a method RetryAfter how long a sender should
// wait, if the spool knows.
func (s *Spool) Publish(ctx context.Context, subject string, e event.Event, id string) (storedAs string, spooled bool, err error) {
	e, id = s.named(ctx, subject, e, id)
	storedAs = e.ID()
	spooled, err = s.keep(ctx, parcel{
		cloud: token(subject, 2), entity: entity(subject, e.Subject()), id: id,
		direct: func(ctx context.Context) error {
			other, err := s.bus.publish(ctx, subject, e, id)
			if other != nil {
				storedAs = events.OwnID(e.ID(), e.Data())
			}
			s.bodies.correct(id, other)
			return err
		},
		message: func() (*nats.Msg, error) {
			msg, err := events.ToMsg(subject, e)
			if err != nil {
				return nil, fmt.Errorf("spool: %w", err)
			}
			msg.Header["ce-"+events.ExtOrigin] = []string{originSpool}
			if natserr.HeaderSize(msg.Header) > natserr.MaxHeader-spoolHeaders {
				return nil, fmt.Errorf("spool: %w: %w", events.ErrTooLarge, natserr.ErrHeader)
			}
			hop := delivery.Header{}
			Propagator.Inject(ctx, hop)
			if origin := "ce-" + events.ExtTraceParent; msg.Header[origin] == nil && hop.Get(events.ExtTraceParent) != "" {
				msg.Header[origin] = hop[events.ExtTraceParent]
			}
			return msg, s.fits(token(subject, 2), msg, id)
		},
	})
	return storedAs, spooled, err
}

// spoolHeaders is what the spool and the trace add to the headers of a message.
const spoolHeaders = 4 << 10

// originSpool is the attribute factroorigin of an event that waited in the spool.
const originSpool = "spool"

// Quarantine stores bytes that could not be made into an event, as Conn.Quarantine does, or in the spool.
func (s *Spool) Quarantine(ctx context.Context, subject, id, code string, reason error, data []byte, request http.Header) error {
	_, err := s.keep(ctx, parcel{
		cloud: token(subject, 3), id: id,
		direct: func(ctx context.Context) error {
			return s.letters.Quarantine(ctx, subject, id, code, reason, data, request)
		},
		message: func() (*nats.Msg, error) {
			msg := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
			Propagator.Inject(ctx, delivery.Header(msg.Header))
			setDeadHeaders(msg.Header, code, reason)
			setRequest(msg.Header, request)
			return msg, nil
		},
	})
	return err
}

// parcel is what is to be kept, and the two ways to do so.
type parcel struct {
	cloud, entity, id string
	direct            func(context.Context) error
	message           func() (*nats.Msg, error)
}

func (s *Spool) keep(ctx context.Context, p parcel) (spooled bool, err error) {
	began := time.Now()
	if p.entity != "" { // who decides for an entity decides alone, or a later webhook could overtake an earlier one
		turn := s.turns[maphash.String(s.seed, p.entity)%uint64(len(s.turns))]
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			return false, fmt.Errorf("wait for an earlier webhook of the same entity: %w", ctx.Err())
		}
	}
	if s.disk == nil {
		return false, s.direct(ctx, p)
	}
	l := s.lane(p.cloud)
	tried := false
	if l.idle() && s.bus.Up() && time.Since(began) <= s.patience {
		tried = true
		attempt, cancel := s.part(ctx)
		err := s.direct(attempt, p)
		cancel()
		if err == nil || errors.Is(err, events.ErrTooLarge) {
			return false, err
		}
		s.log.WarnContext(ctx, "the broker does not take a webhook; it goes to the spool", "cloud", p.cloud, "error", err)
	}
	idle := l.idle()
	sure, err := s.put(ctx, l, p, tried)
	for errors.Is(err, errSpoolClosed) && (tried || !idle || !s.bus.Up()) && s.disk.mended(ctx) {
		sure, err = s.put(ctx, l, p, tried)
	}
	switch {
	case err == nil:
		trace.SpanFromContext(ctx).AddEvent("spooled")
		return true, nil
	case errors.Is(err, events.ErrTooLarge):
		return false, err
	case idle && sure && !tried: // nothing is before it, so it may wait for the broker
		var late error
		if late = s.direct(ctx, p); late == nil {
			return false, nil
		}
		err = errors.Join(err, late)
	}
	return false, &unavailable{err, s.retryAfter()}
}

// part is a part of the time that there is, at most half, so that some is left for the spool.
func (s *Spool) part(ctx context.Context) (context.Context, context.CancelFunc) {
	most := s.attempt
	if deadline, ok := ctx.Deadline(); ok {
		most = min(most, time.Until(deadline)/2)
	}
	return context.WithTimeout(ctx, most)
}

func (s *Spool) direct(ctx context.Context, p parcel) error {
	err := p.direct(ctx)
	if err == nil {
		s.stored.Add(1)
	}
	return err
}

// put writes a parcel to the disk. sure says of an error that nothing was written.
func (s *Spool) put(ctx context.Context, l *lane, p parcel, tried bool) (sure bool, err error) {
	msg, err := p.message()
	if err != nil {
		return true, err
	}
	msg.Header[headerSpoolSubject], msg.Header[headerSpoolID] = []string{msg.Subject}, []string{events.EncodeHeader(p.id)}
	if tried {
		msg.Header[headerSpoolTried] = []string{"1"}
	}
	msg.Subject = l.subject

	if s.disk.fault.Load() != nil { // who opens it anew has the lock, perhaps for long
		return true, errSpoolClosed
	}
	if err := s.disk.mu.RLock(ctx); err != nil {
		return true, fmt.Errorf("spool: %w", err)
	}
	defer s.disk.mu.RUnlock()
	l.add(1)
	if sure, err = s.disk.write(ctx, msg); err != nil {
		if sure {
			l.add(-1)
		} else {
			s.unsure.Add(1)
		}
		return sure, err
	}
	s.written.Add(1)
	s.metrics.spooled.Add(ctx, 1, CloudOption(l.cloud))
	return true, nil
}

// unavailable is an error that passes, and a guess when.
type unavailable struct {
	err   error
	after time.Duration
}

func (u *unavailable) Error() string             { return u.err.Error() }
func (u *unavailable) Unwrap() error             { return u.err }
func (u *unavailable) RetryAfter() time.Duration { return u.after }

// Kept is how many webhooks were stored, spooled or quarantined, counted where they were.
func (s *Spool) Kept() int64 { return s.stored.Load() + s.written.Load() }

// State tells in words what the spool does, and whether it could take a webhook now. Without a directory it is "".
func (s *Spool) State() (text string, ok bool) {
	if s.disk == nil {
		return "", false
	}
	switch err := s.disk.usable(); {
	case errors.Is(err, errSpoolFull):
		return "full: " + err.Error(), false
	case err != nil:
		return "not writable: " + err.Error(), false
	}
	switch n := s.waiting(); n {
	case 0:
		return "empty", true
	default:
		return plural.Of(n, "event") + plural.Choose(n, " waits", " wait"), true
	}
}

func (s *Spool) waiting() int64 {
	var n int64
	for _, l := range s.all() {
		l.mu.Lock()
		n += l.waiting
		l.mu.Unlock()
	}
	return n
}

func (s *Spool) all() []*lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*lane
	for _, l := range s.lanes {
		all = append(all, l)
	}
	return all
}

// Up says whether the connection is known to be up.
func (b *Conn) Up() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isUp
}
