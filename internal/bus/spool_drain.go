package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/delivery"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const (
	// roundSize bounds how many messages are on their way to the broker at once, roundBytes what they hold of memory.
	roundSize, roundBytes = 64, 8 << 20
	// roundTimeout bounds how long a round goes on, also after the bridge was told to stop.
	roundTimeout = 5 * time.Second
	// mendEvery is how often the spool's server is looked at.
	mendEvery = time.Second
)

// drain is what the drain of a lane has in hand.
type drain struct {
	held     []*held // read and not removed, in order
	read     uint64  // the sequence of the last one
	openings int     // of the disk, when they were read
	seen     sight
}

// held is a message of the spool.
type held struct {
	seq     uint64
	at      time.Time
	msg     *nats.Msg // as it goes to the broker
	id      string
	entity  string
	suspect bool      // the broker may have it
	refused time.Time // since when the broker refuses it for a reason that nobody knows
	lookups int       // that failed
	done    bool      // the broker has it, or has it as a dead letter, or it is at the end of the spool again
	moved   bool      // it is at the end of the spool again
	dead    bool
}

// Run hands over what waits whenever the broker is there, and keeps the spool's server working. It returns when ctx ends,
// and then has finished what it had in hand.
func (s *Spool) Run(ctx context.Context) error {
	if s.disk == nil {
		return nil
	}
	var drains sync.WaitGroup
	defer drains.Wait()
	tick := time.NewTicker(mendEvery)
	defer tick.Stop()
	mended := make(chan struct{}, 1) // has a token when nobody mends
	mended <- struct{}{}
	for {
		select {
		case <-ctx.Done(): // a disk that hangs is not waited for
			return nil
		case <-s.begin:
			for _, l := range s.unbegun() {
				drains.Go(func() { s.drainLane(ctx, l) })
			}
		case <-tick.C:
			select {
			case <-mended:
				go func() {
					s.disk.mend(ctx, s.recount)
					s.saveLimits(ctx)
					mended <- struct{}{}
				}()
			default:
			}
		}
	}
}

// unbegun returns the lanes that have no drain, and from now on have one.
func (s *Spool) unbegun() []*lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*lane
	for _, l := range s.lanes {
		if !l.begun {
			l.begun = true
			out = append(out, l)
		}
	}
	return out
}

// recount begins the accounts anew with what is on the disk, after it was opened. The caller has the disk's lock, so
// nothing is being written. What was in hand is read again, and the broker may have any of it.
func (s *Spool) recount(there stock) {
	miss := s.missing(there)
	if miss <= s.settled.Load() { // removals and writes that were not answered, and were done
		miss = 0
	}
	s.settled.Store(0)
	s.unsure.Store(0)
	s.found.Add(miss - s.missing(there))
	s.old = there.last
	s.openings++
	for subject := range there.clouds {
		s.lane(strings.TrimPrefix(subject, "spool."))
	}
	for _, l := range s.all() {
		l.mu.Lock()
		l.waiting = int64(there.clouds[l.subject]) //nolint:gosec // far below the limit of the type
		l.mu.Unlock()
		l.rouse()
	}
}

// drainLane hands over one cloud's messages until ctx ends.
func (s *Spool) drainLane(ctx context.Context, l *lane) {
	failures, handed := 0, 0
	begun := s.spooling(ctx, l, l.idle())
	var watch progress.Log
	for {
		for l.idle() {
			if attrs, told := watch.End(time.Now()); told {
				s.log.LogAttrs(ctx, slog.LevelInfo, "the spool is handed over", append(attrs, slog.String("cloud", l.cloud))...)
			} else if begun && handed > 0 {
				s.log.InfoContext(ctx, "the spool is handed over", "cloud", l.cloud, "messages", handed)
			}
			handed = 0
			l.drain.seen.forget()
			select {
			case <-l.wake:
			case <-ctx.Done():
				return
			}
			begun = s.spooling(ctx, l, l.idle())
		}
		if s.bus.AwaitUp(ctx) != nil {
			return // told to stop, or the connection is closed for good and the process ends
		}
		n, err := s.round(ctx, l)
		switch {
		case err == nil && n > 0:
			if failures > 0 {
				s.log.InfoContext(ctx, "the spool is handed over again", "cloud", l.cloud)
			}
			failures = 0
			handed += n
			if attrs, due := watch.Left(l.left(), time.Now()); due {
				s.log.LogAttrs(ctx, slog.LevelInfo, "the spool is being handed over", append(attrs, slog.String("cloud", l.cloud))...)
			}
			continue
		case err != nil:
			watch = progress.Log{}                             // how long the failure lasts says nothing of the time after it
			if failures++; failures == 1 && ctx.Err() == nil { // the same failure again and again is one line
				s.log.WarnContext(ctx, "the spool cannot be handed over; trying again", "cloud", l.cloud, "error", err)
			}
		}
		again := 20 * time.Millisecond // one is being written
		if err != nil {
			again = delivery.Backoff(min(failures, 4))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}

// spooling says that webhooks of a cloud go to the spool, at most once a minute, and whether it did.
func (s *Spool) spooling(ctx context.Context, l *lane, idle bool) bool {
	if idle {
		return false
	}
	_, due := s.bus.samples.Due("spooling "+l.cloud, time.Now())
	if due {
		s.log.InfoContext(ctx, "webhooks wait in the spool until NATS takes them", "cloud", l.cloud)
	}
	return due
}

var errNothingTakes = errors.New("neither the stream nor the object store takes what is waiting")

// round hands over the first messages of a lane, side by side as long as they are of different entities, and removes from
// the spool what the broker has. It returns how many it removed.
func (s *Spool) round(ctx context.Context, l *lane) (removed int, err error) {
	if err := s.fill(ctx, l); err != nil {
		return 0, err
	}
	batch := l.drain.batch(s.limiter.Burst())
	if err := s.limiter.WaitN(ctx, len(batch)); err != nil {
		return 0, err
	}
	// What was begun is finished, also when the bridge stops: else it would have to be looked for later.
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), roundTimeout)
	defer cancel()
	errs := make([]error, len(batch))
	var group sync.WaitGroup
	for i, h := range batch {
		group.Go(func() {
			if errs[i] = s.search(work, l, h); errs[i] == nil && !h.done {
				errs[i] = s.deliver(work, l, h)
			}
		})
	}
	group.Wait()
	turned := !slices.ContainsFunc(batch, func(h *held) bool { return h.done && !h.moved })
	if removed, err = s.settleRound(work, l, batch); err == nil && removed > 0 && turned {
		err = errNothingTakes // all there is goes round and round, so it is to do so slowly
	}
	return removed, cmp.Or(cmp.Or(errs...), err) // one of many equal ones is enough
}

// fill reads on until there is enough for a round.
func (s *Spool) fill(ctx context.Context, l *lane) error {
	if err := s.disk.mu.RLock(ctx); err != nil {
		return err
	}
	defer s.disk.mu.RUnlock()
	d := &l.drain
	if d.openings != s.openings {
		d.held, d.read, d.openings = nil, 0, s.openings
	}
	size := 0
	for _, h := range d.held {
		size += len(h.msg.Data)
	}
	for len(d.held) < roundSize && size < roundBytes {
		raw, err := s.disk.next(ctx, l.subject, d.read)
		if raw == nil || err != nil {
			return err
		}
		d.read = raw.Sequence
		size += len(raw.Data)
		d.held = append(d.held, s.unpack(raw))
	}
	return nil
}

// unpack makes a message of the spool what it was to be for the broker.
func (s *Spool) unpack(raw *jetstream.RawStreamMsg) *held {
	msg := &nats.Msg{Data: raw.Data, Header: nats.Header{}}
	for name, values := range raw.Header {
		if !strings.HasPrefix(name, headerSpool) && !delivery.IsBrokerHeader(name) {
			msg.Header[name] = values
		}
	}
	own := delivery.Header(raw.Header)
	msg.Subject = own.Get(headerSpoolSubject)
	id, err := events.DecodeHeader(own.Get(headerSpoolID))
	if err != nil { // we wrote it; should it be damaged, it is still the same each time
		id = own.Get(headerSpoolID)
	}
	about, err := events.DecodeHeader(delivery.Header(msg.Header).Get("ce-subject"))
	if err != nil {
		about = delivery.Header(msg.Header).Get("ce-subject")
	}
	return &held{
		seq: raw.Sequence, at: raw.Time, msg: msg, id: id, entity: entity(msg.Subject, about),
		suspect: raw.Sequence <= s.old || own.Get(headerSpoolTried) != "",
	}
}

// batch are the first of each entity in what is in hand and not done, up to a number. What is left out is behind one
// of its own entity, so each entity keeps its order.
func (d *drain) batch(most int) []*held {
	var out []*held
	taken := map[string]bool{}
	for _, h := range d.held {
		switch {
		case len(out) == most:
			return out
		case h.done, h.entity != "" && taken[h.entity]:
			continue
		}
		taken[h.entity] = true
		out = append(out, h)
	}
	return out
}

// deliver publishes one message, as a child of nobody: the webhook's own trace, which may be hours old, becomes a link.
func (s *Spool) deliver(ctx context.Context, l *lane, h *held) error {
	origin := trace.SpanContextFromContext(delivery.Extract(ctx, Propagator, h.msg.Header))
	opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindProducer), trace.WithNewRoot(), trace.WithAttributes(
		semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName("publish"), semconv.MessagingOperationTypeSend,
		semconv.MessagingDestinationName(h.msg.Subject), semconv.MessagingMessageID(h.id),
	)}
	if origin.IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: origin}))
	}
	ctx, span := s.bus.tracer.Start(ctx, "drain "+kind(h.msg.Subject), opts...)
	defer span.End()

	tried := h.suspect
	h.suspect = true // from now on
	msg := &nats.Msg{Subject: h.msg.Subject, Data: h.msg.Data, Header: maps.Clone(h.msg.Header)}
	var err error
	if token(msg.Subject, 1) == "event" {
		var other *otherEvent
		other, err = s.bus.SendEvent(ctx, msg, h.id, tried)
		s.bodies.correct(h.id, other)
	} else {
		err = s.bus.Send(ctx, msg, h.id)
	}
	if h.refusedForGood(err, s.bus.refusingAfter) {
		span.SetStatus(codes.Error, "refused")
		if skipped, due := s.bus.samples.Due("spool refused "+l.cloud, time.Now()); due {
			s.log.ErrorContext(ctx, "the broker refuses a webhook of the spool for good; it becomes a dead letter", "cloud", l.cloud, "error", err, "not_logged", skipped)
		}
		if err = s.bury(ctx, l, h, err); err == nil {
			h.dead = true
		}
	}
	if err = s.bus.published(ctx, span, h.msg.Subject, err); err == nil {
		h.done = true
	}
	return err
}

// refusedForGood says whether a message is never taken as it is. Of a refusal that is in no table that is known after a
// while only.
func (h *held) refusedForGood(err error, after time.Duration) bool {
	switch {
	case err == nil, !natserr.Answered(err), natserr.Of(err) == natserr.Passing, natserr.Of(err) == natserr.NoRoom:
		h.refused = time.Time{}
		return false
	case Permanent(err):
		return true
	case h.refused.IsZero():
		h.refused = time.Now()
	}
	return time.Since(h.refused) >= after
}

// Codes of letters about webhooks that the broker does not take: since no message can hold them, and for another reason.
const (
	codeTooLarge = "too_large"
	codeRefused  = "refused"
)

// bury makes a dead letter of what the broker will never take, so that it does not hold up the others. What was one
// before keeps its own reason.
func (s *Spool) bury(ctx context.Context, l *lane, h *held, reason error) error {
	dead := &nats.Msg{Subject: s.bus.cfg.Prefix.DeadWebhook(l.cloud), Data: h.msg.Data, Header: maps.Clone(h.msg.Header)}
	if dead.Header[topology.HeaderDeadCode] == nil {
		code := codeRefused
		if errors.Is(reason, events.ErrTooLarge) {
			code = codeTooLarge
		}
		setDeadHeaders(dead.Header, code, reason)
		dead.Header[topology.HeaderDeadSubject] = []string{h.msg.Subject}
		dead.Header[topology.HeaderDeadMessageID] = []string{events.EncodeHeader(h.id)}
	}
	err := s.letters.GiveUp(ctx, dead, h.id+".dead", true) // it was answered with 202, or with the promise to keep it
	if errors.Is(err, ErrNotKept) && l.many() {
		if again := s.putBack(ctx, l, h); again != nil {
			return errors.Join(err, again)
		}
		h.moved = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("dead letter: %w", err)
	}
	return nil
}

// putBack writes a webhook that nothing takes to the end of the spool, so that it does not hold up those behind it.
func (s *Spool) putBack(ctx context.Context, l *lane, h *held) error {
	msg := &nats.Msg{Subject: l.subject, Data: h.msg.Data, Header: maps.Clone(h.msg.Header)}
	msg.Header[headerSpoolSubject], msg.Header[headerSpoolID] = []string{h.msg.Subject}, []string{events.EncodeHeader(h.id)}
	msg.Header[headerSpoolTried] = []string{"1"}
	if err := s.disk.mu.RLock(ctx); err != nil {
		return err
	}
	defer s.disk.mu.RUnlock()
	l.add(1)
	sure, err := s.disk.write(ctx, msg)
	switch {
	case err == nil:
		s.moved.Add(1)
	case sure:
		l.add(-1)
	default:
		s.unsure.Add(1)
	}
	return err
}

// settleRound counts what the broker has, and removes it from the spool as far as nothing before it is left.
func (s *Spool) settleRound(ctx context.Context, l *lane, batch []*held) (int, error) {
	if err := s.disk.mu.RLock(ctx); err != nil {
		return 0, err // none of it is counted; it is read again, and then looked for
	}
	defer s.disk.mu.RUnlock()
	d := &l.drain
	if d.openings != s.openings {
		return 0, nil // it is read again, and then looked for
	}
	for _, h := range batch {
		switch {
		case !h.done:
			continue
		case h.moved:
			s.moved.Add(-1)
			s.settled.Add(1)
			continue
		case h.dead:
			s.dead.Add(1)
		default:
			s.drained.Add(1)
		}
		s.metrics.drained.Add(ctx, 1, drainedOption(l.cloud, h.dead))
		s.settled.Add(1)
	}
	n := 0
	for n < len(d.held) && d.held[n].done {
		n++
	}
	if n == 0 {
		return 0, nil
	}
	if err := s.disk.remove(ctx, l.subject, d.held[n-1].seq); err != nil {
		return 0, err
	}
	d.held = d.held[n:]
	s.settled.Add(-int64(n))
	s.tempo.add(n, time.Now())
	l.add(-int64(n))
	return n, nil
}
