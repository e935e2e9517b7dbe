package timeline

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/factro-bridge/factro-bridge/internal/bus/history"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Streams reads the streams of NATS. [history.Reader] is one.
type Streams interface {
	looks
	reads
}

type looks interface {
	// Span says what a stream has.
	Span(ctx context.Context, stream string) (history.Span, error)
	// Since is the first sequence that a stream took at a time or later, 0 if there is none.
	Since(ctx context.Context, stream string, at time.Time) (uint64, error)
	// Latest is the last message of a subject.
	Latest(ctx context.Context, stream, subject string) (history.Message, bool, error)
}

type reads interface {
	// Forward and Backward read the messages of a stream, from the oldest or from the newest on.
	Forward(ctx context.Context, q history.Query, each func(history.Message) bool) (history.Read, error)
	Backward(ctx context.Context, q history.Query, each func(history.Message) bool) (history.Read, error)
}

// Question is what is asked.
type Question struct {
	ID string
	// Kind is what the ID is, if that is known, which saves reading.
	Kind string
	// Source is that of the command with this ID. A command is found faster with it.
	Source string
	// Since is how far back streams are read that the broker cannot search by the ID. Zero is [DefaultBack], or less where the ID has
	// a time in it.
	Since time.Time
	// Most is how many messages of a stream are read at most, 0 for [DefaultMost], and Limit how many entries are wanted, 0 for all.
	Most  uint64
	Limit int
	// Sources are where commands are likely to come from whose source is not given.
	Sources []string
}

const (
	// DefaultBack is how far back is read by default.
	DefaultBack = 24 * time.Hour
	// DefaultMost is how many messages of a stream are read at most by default.
	DefaultMost = 5_000_000
	// mostCommands is how many commands the ledger is asked about, mostObjects the history of how many objects is read, and rounds how far
	// a chain is followed.
	mostCommands, mostObjects, rounds = 200, 50, 4
	// before is how much earlier than a command the event may be that led to it.
	before = 10 * time.Minute
)

// Finder finds timelines.
type Finder struct {
	streams Streams
	prefix  events.Prefix
	now     func() time.Time
	// run runs the readings of streams in another order than that in which they end. Tests show that it makes no difference.
	run func(tasks []func())
}

// New returns a finder.
func New(streams Streams, p events.Prefix, now func() time.Time) *Finder {
	return &Finder{streams: streams, prefix: p, now: now}
}

// command distinguishes a command from others of its cloud.
type command struct{ source, id string }

// known is what is known of a command.
type known struct {
	operation, resource, entity string
	first                       time.Time
	traces                      map[string]bool
	asked, read                 bool // the ledger, and the results
	closed                      bool // the ledger was asked after the result
}

// search is the search in one cloud.
type search struct {
	*Finder
	q     Question
	cloud string
	names names

	mu       sync.Mutex
	found    map[string]Entry
	kinds    []string
	looked   map[string]*Look
	next     map[string]uint64 // the first sequence of a stream that was not there when it was looked at
	commands map[command]*known
	events   map[string]Entry // those that led to something, or are what is looked for
	causes   map[string]bool  // ids of events that led to changes
	objects  map[string]bool  // whose history is in the pool
	pool     []pooled
	cut      bool
}

// pooled is a message of the history of an object, which may turn out to be wanted.
type pooled struct {
	change bool
	m      history.Message
}

// Find looks for an id in the streams of a cloud. What could not be read is in the timeline.
func (f *Finder) Find(ctx context.Context, cloud string, q Question) *Timeline {
	return f.search(ctx, cloud, q).timeline()
}

func (f *Finder) search(ctx context.Context, cloud string, q Question) *search {
	q.Most = cmp.Or(q.Most, DefaultMost)
	s := &search{
		Finder: f, q: q, cloud: cloud, names: namesOf(f.prefix, cloud), found: map[string]Entry{}, looked: map[string]*Look{}, next: map[string]uint64{},
		commands: map[command]*known{}, events: map[string]Entry{}, causes: map[string]bool{}, objects: map[string]bool{},
	}
	s.cheap(ctx)
	s.wide(ctx)
	for range rounds {
		if !s.follow(ctx) {
			break
		}
	}
	return s
}

// may says whether the id can be of a kind.
func (s *search) may(kind string) bool { return s.q.Kind == "" || s.q.Kind == kind }

// kind notes that the id is of a kind.
func (s *search) kind(kind string, is bool) {
	if is && !slices.Contains(s.kinds, kind) && s.may(kind) {
		s.kinds = append(s.kinds, kind)
	}
}

// together runs tasks at the same time.
func (s *search) together(tasks []func()) {
	if s.run != nil {
		s.run(tasks)
		return
	}
	var all sync.WaitGroup
	for _, task := range tasks {
		all.Go(task)
	}
	all.Wait()
}

// cheap asks what the broker finds by a subject.
func (s *search) cheap(ctx context.Context) {
	var tasks []func()
	if s.may(KindEntity) {
		tasks = append(tasks, s.history(ctx, s.q.ID, s.whole)...)
		tasks = append(tasks, func() { s.keysOf(ctx, s.q.ID, false) })
	}
	if s.may(KindKey) {
		tasks = append(tasks, func() { s.keysOf(ctx, s.q.ID, true) })
	}
	if s.may(KindCommand) {
		for _, source := range slices.Compact(append([]string{s.q.Source}, s.q.Sources...)) {
			if s.q.Source == "" || source == s.q.Source {
				tasks = append(tasks, func() { s.record(ctx, command{source, s.q.ID}) })
			}
		}
	}
	s.together(tasks)
	tasks = nil
	for _, id := range s.keyed() { // the object of the external key
		tasks = append(tasks, s.history(ctx, id, s.whole)...)
	}
	s.together(tasks)
}

// keyed are the objects of the external key, if the id is one.
func (s *search) keyed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	if slices.Contains(s.kinds, KindKey) {
		for _, e := range s.found {
			if e.Step == Reserved && e.Key == s.q.ID && e.Entity != "" {
				ids = append(ids, e.Entity)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// wide reads streams in which the broker cannot find the id.
func (s *search) wide(ctx context.Context) {
	var w wanted
	if s.may(KindCommand) || s.may(KindEvent) {
		w.id(s.q.ID)
	}
	if s.may(KindEntity) {
		w.entity(s.q.ID)
	}
	w.entity(s.keyed()...)
	traced := isTrace(s.q.ID) && s.may(KindTrace)
	if traced {
		w.trace(s.q.ID)
	}
	s.mu.Lock()
	for c := range s.commands {
		if c.id != s.q.ID {
			w.id(c.id) // that of the key
		}
	}
	s.mu.Unlock()
	s.together(s.aboutCommands(ctx, &w, s.resultsOf(), s.from()))
	other := slices.ContainsFunc(s.kindsFound(), func(kind string) bool { return kind != KindTrace })
	if !s.may(KindEvent) && !traced || other && s.q.Kind == "" {
		return
	}
	id, unique := uuid.Parse(s.q.ID)
	early := s.q.Since.IsZero() && unique == nil && id.Version() == 7
	s.together([]func(){
		func() {
			s.scan(ctx, scan{stream: s.names.events, from: s.from(), keep: w.event, forward: early, first: !traced, take: s.takeEvent})
		},
		func() { s.scan(ctx, scan{stream: s.names.changes, from: s.from(), keep: w.change, take: s.takeChange}) },
	})
}

func (s *search) kindsFound() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.kinds)
}

// skew is by how much clocks may differ.
const skew = time.Minute

// from is how far back is read. An id with a time in it was not used before.
func (s *search) from() time.Time {
	if !s.q.Since.IsZero() {
		return s.q.Since
	}
	if id, err := uuid.Parse(s.q.ID); err == nil && id.Version() == 7 {
		seconds, nanos := id.Time().UnixTime()
		return time.Unix(seconds, nanos).Add(-skew)
	}
	return s.now().Add(-DefaultBack)
}

// resultsOf is the filter for the results of the command that is looked for, if the ledger has found it and so has its operation.
func (s *search) resultsOf() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	operation := ""
	if slices.Equal(s.kinds, []string{KindCommand}) {
		for c, k := range s.commands {
			switch {
			case c.id != s.q.ID, operation != "" && operation != k.operation, k.operation == "":
				return ""
			default:
				operation = k.operation
			}
		}
	}
	if operation == "" {
		return ""
	}
	return s.prefix.ResultFilter(s.cloud, events.Any, operation, events.Any)
}

// aboutCommands are the readings of what is about commands. results is the filter for their results, or "".
func (s *search) aboutCommands(ctx context.Context, w *wanted, results string, from time.Time) []func() {
	keep := func(m history.Message) bool { return w.command(m, s.commandOf) }
	return []func(){
		func() {
			s.scan(ctx, scan{stream: s.names.results, subject: results, from: from, keep: w.result, take: s.takeResult})
		},
		func() { s.scan(ctx, scan{stream: s.names.commands, keep: keep, forward: true, take: s.takeQueued}) },
		func() { s.scan(ctx, scan{stream: s.names.delayed, keep: keep, forward: true, take: s.takeDelayed}) },
		func() { s.scan(ctx, scan{stream: s.names.dead, keep: keep, forward: true, take: s.takeDead}) },
	}
}

// add adds an entry. The same may be recorded in several places; which of them is shown does not depend on their order.
func (s *search) add(e Entry) {
	key, _ := json.Marshal([]any{e.Step, e.Stream, e.Sequence, e.Key})
	if e.Step == Attempted || e.Step == Begun || e.Step == Sent {
		key, _ = json.Marshal([]any{e.Step, e.Command, e.Source, e.Time.UnixNano()})
	}
	if have, ok := s.found[string(key)]; !ok || compare(e, have) < 0 {
		s.found[string(key)] = e
	}
}

// learnEvent notes an event that was found.
func (s *search) learnEvent(e Entry) {
	s.kind(KindEvent, e.Event == s.q.ID)
	s.kind(KindTrace, e.Trace == s.q.ID)
	s.kind(KindEntity, e.Entity == s.q.ID)
	s.events[e.Event] = e
}

// learnChange notes the events that led to a change.
func (s *search) learnChange(e Entry) {
	s.kind(KindEntity, e.Entity == s.q.ID)
	s.kind(KindTrace, e.Trace == s.q.ID)
	for _, id := range e.Events {
		s.causes[id] = true
	}
}

// learnCommand notes a command that was found.
func (s *search) learnCommand(e Entry) {
	s.kind(KindCommand, e.Command == s.q.ID)
	s.kind(KindEntity, e.Entity == s.q.ID)
	s.kind(KindTrace, e.Trace == s.q.ID)
	c := command{e.Source, e.Command}
	k := s.commands[c]
	if k == nil {
		k = &known{traces: map[string]bool{}}
		s.commands[c] = k
	}
	k.operation, k.resource, k.entity = cmp.Or(k.operation, e.Operation), cmp.Or(k.resource, e.Resource), cmp.Or(k.entity, e.Entity)
	if e.Trace != "" {
		k.traces[e.Trace] = true
	}
	if k.first.IsZero() || e.Time.Before(k.first) {
		k.first = e.Time
	}
	// Of what changes an object that is there all results name the object, so one who looks for that has them. A create has none before it is
	// done.
	if op, ok := factro.Lookup(e.Operation); ok && e.Step == Resulted && e.Entity == s.q.ID && !op.Creates() {
		k.read = true
	}
}

// record asks the ledger about a command.
func (s *search) record(ctx context.Context, c command) {
	stream := ledger.Stream(s.prefix, s.cloud)
	began := time.Now()
	look := s.look(stream, "")
	m, there, err := s.streams.Latest(ctx, stream, ledger.Subject(s.prefix, s.cloud, identityOf(c)))
	err = s.missing(ctx, stream, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	look.took(began)
	look.Whole = err == nil
	if err != nil || !there {
		look.fail(err)
		return
	}
	look.Messages++
	if r, there, err := ledger.Decode(m.Data); err == nil && there && r.Plain == (c.source == "") {
		if k := s.commands[c]; k != nil {
			k.asked = true
		}
		s.takeRecord(c, m, r)
		s.commands[c].asked = true
	}
}
