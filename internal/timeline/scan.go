package timeline

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/history"
	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

// names are the streams of a cloud.
type names struct{ events, changes, results, commands, delayed, dead string }

func namesOf(p events.Prefix, cloud string) names {
	return names{
		p.EventStream(cloud), change.Stream(p, cloud), p.ResultStream(cloud), p.CommandStream(cloud), topology.DelayedStream(p, cloud), p.DeadStream(cloud),
	}
}

func identityOf(c command) string { return identity.Command(c.source, c.id) }

// scan is a reading of a stream.
type scan struct {
	stream, subject string
	from, until     time.Time
	keep            func(history.Message) bool
	take            func(history.Message)
	forward         bool // from the oldest on, also where it could be from the newest on
	first           bool // one message is enough
}

// scan reads a stream and notes what that took.
func (s *search) scan(ctx context.Context, r scan) {
	began := time.Now()
	look := s.look(r.stream, r.subject)
	done, since, whole, err := s.read(ctx, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	look.took(began)
	look.Messages += done.Messages
	look.Cut = look.Cut || done.Cut
	look.Whole = look.Whole || whole && err == nil && !done.Cut
	if !since.IsZero() && (look.Since == nil || since.Before(*look.Since)) {
		since = since.UTC()
		look.Since = &since
	}
	look.fail(err)
}

// read reads a stream. since is from when on, and whole says whether the stream has nothing older.
func (s *search) read(ctx context.Context, r scan) (done history.Read, since time.Time, whole bool, err error) {
	span, err := s.streams.Span(ctx, r.stream)
	if err != nil {
		return done, since, false, err
	}
	s.mu.Lock()
	if _, looked := s.next[r.stream]; !looked {
		s.next[r.stream] = span.Last + 1
	}
	s.mu.Unlock()
	if span.Messages == 0 {
		return done, since, true, nil
	}
	q := history.Query{Stream: r.stream, Subject: r.subject, First: span.First, Last: span.Last, Most: s.q.Most, Keep: r.keep}
	since, whole = span.Since, true
	if r.from.After(span.Since) {
		since, whole = r.from, false
		if q.First, err = s.streams.Since(ctx, r.stream, r.from); err != nil || q.First == 0 {
			return done, since, false, err
		}
	}
	if !r.until.IsZero() && r.until.Before(span.Until) {
		end, err := s.streams.Since(ctx, r.stream, r.until)
		if err != nil {
			return done, since, whole, err
		}
		if end > 0 {
			q.Last = end - 1
		}
	}
	if q.Last < q.First {
		return done, since, whole, nil
	}
	each := func(m history.Message) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		r.take(m)
		return !r.first
	}
	if r.subject != "" || r.forward || !span.Dense() {
		done, err = s.streams.Forward(ctx, q, each)
		return done, since, whole, err
	}
	done, err = s.streams.Backward(ctx, q, each)
	if done.Cut {
		since, whole = s.timeAt(ctx, r.stream, done.Lowest, since), false
	}
	return done, since, whole, err
}

// timeAt is when a stream took its message with a sequence, or the next one.
func (s *search) timeAt(ctx context.Context, stream string, sequence uint64, otherwise time.Time) time.Time {
	at := otherwise
	_, _ = s.streams.Forward(ctx, history.Query{Stream: stream, First: sequence, Last: sequence, Most: 1}, func(m history.Message) bool {
		at = m.Time()
		return false
	})
	return at
}

// history are the readings of the history of an object, which the broker finds.
func (s *search) history(ctx context.Context, id string, take func(change bool, m history.Message)) []func() {
	s.mu.Lock()
	s.objects[id] = true
	s.mu.Unlock()
	var w wanted
	w.entity(id)
	var ofEvent, ofChange func(history.Message) bool
	if events.Token(id) != id { // its subject is that of others, too
		ofEvent = w.about
		ofChange = w.about
	}
	eventSubject := s.prefix.EventFilter(s.cloud, events.Any, id, events.Any)
	changeSubject := change.Filter(s.prefix, s.cloud, events.Any, id, events.Any)
	return []func(){
		func() {
			s.scan(ctx, scan{stream: s.names.events, subject: eventSubject, from: s.q.Since, keep: ofEvent, take: func(m history.Message) { take(false, m) }})
		},
		func() {
			s.scan(ctx, scan{stream: s.names.changes, subject: changeSubject, from: s.q.Since, keep: ofChange, take: func(m history.Message) { take(true, m) }})
		},
	}
}

// whole takes all of the history of an object.
func (s *search) whole(change bool, m history.Message) {
	if change {
		s.takeChange(m)
	} else {
		s.takeEvent(m)
	}
}

// mostPooled is how many messages of objects are kept that may turn out to be wanted.
const mostPooled = 20_000

// keepForLater keeps the history of an object, for drain to take what is wanted.
func (s *search) keepForLater(change bool, m history.Message) {
	if len(s.pool) == mostPooled {
		s.cut = true
		return
	}
	s.pool = append(s.pool, pooled{change, m})
}

// keysOf reads the external keys of this name, or that of an object.
func (s *search) keysOf(ctx context.Context, id string, isKey bool) {
	stream, subject := keys.Stream(s.prefix, s.cloud), keys.ByID(s.prefix, s.cloud, id)
	if isKey {
		subject = keys.ByKey(s.prefix, s.cloud, id)
	}
	began := time.Now()
	look := s.look(stream, "")
	done, err := s.streams.Forward(ctx, history.Query{Stream: stream, Subject: subject}, func(m history.Message) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if k, there := keys.Decode(m.Data); there && (isKey && k.Key == id || !isKey && k.ID == id) {
			s.kind(KindKey, isKey)
			s.kind(KindEntity, !isKey)
			s.takeKey(m, k)
		}
		return true
	})
	err = s.missing(ctx, stream, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	look.took(began)
	look.Messages += done.Messages
	look.Whole = err == nil
	look.fail(err)
}

// missing says of a stream that nobody answers for whether it is not there.
func (s *search) missing(ctx context.Context, stream string, err error) error {
	if natserr.NobodyAnswers(err) {
		if _, look := s.streams.Span(ctx, stream); natserr.NoStream(look) {
			return look
		}
	}
	return err
}

// look is what is noted of the readings of a stream under a filter.
func (s *search) look(stream, subject string) *Look {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := stream + " " + subject
	if s.looked[key] == nil {
		s.looked[key] = &Look{Stream: stream, Subject: subject}
	}
	return s.looked[key]
}

func (l *Look) took(began time.Time) { l.Millis += time.Since(began).Milliseconds() }

// fail notes why a stream could not be read.
func (l *Look) fail(err error) {
	switch {
	case err == nil:
	case natserr.NoStream(err):
		l.Missing = true
	default:
		l.err, l.Error = err, err.Error()
	}
}

// timeline is what was found so far.
func (s *search) timeline() *Timeline {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &Timeline{ID: s.q.ID, Kinds: inOrder(s.kinds), Entries: make([]Entry, 0, len(s.found)), Limited: s.cut}
	for _, e := range s.found {
		t.Entries = append(t.Entries, e)
	}
	for _, l := range s.looked {
		t.Looked = append(t.Looked, *l)
	}
	slices.SortFunc(t.Looked, func(a, b Look) int { return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Subject, b.Subject)) })
	t.settle(s.q.Limit)
	return t
}
