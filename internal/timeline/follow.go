package timeline

import (
	"context"
	"slices"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/history"
)

// followEvery is how often the streams are looked at for more.
const followEvery = 500 * time.Millisecond

// mostOpen is how many commands that have no result are asked about again and again.
const mostOpen = 20

// Follow looks for an id in the streams of a cloud, hands over what is there, and then each entry that comes, until ctx ends. What cannot
// be read for a while is read later.
func (f *Finder) Follow(ctx context.Context, cloud string, q Question, there func(*Timeline), each func(Entry)) {
	s := f.search(ctx, cloud, q)
	shown := s.keys()
	there(s.timeline())
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.more(ctx)
		for _, e := range s.news(shown) {
			each(e)
		}
	}
}

func (s *search) keys() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]bool{}
	for key := range s.found {
		all[key] = true
	}
	return all
}

// news are the entries that were not shown, in their order.
func (s *search) news(shown map[string]bool) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Entry
	for key, e := range s.found {
		if !shown[key] {
			shown[key] = true
			all = append(all, e)
		}
	}
	slices.SortFunc(all, compare)
	return all
}

// more reads what has come since the last look.
func (s *search) more(ctx context.Context) {
	w := s.everything()
	command := func(m history.Message) bool { return w.command(m, s.commandOf) }
	s.together([]func(){
		func() {
			s.fresh(ctx, s.names.events, func(m history.Message) bool { return w.event(m) || w.entities[token(m.Subject, 4)] }, s.takeEvent)
		},
		func() { s.fresh(ctx, s.names.changes, w.change, s.takeChange) },
		func() { s.fresh(ctx, s.names.results, w.result, s.takeResult) },
		func() { s.fresh(ctx, s.names.commands, command, s.takeQueued) },
		func() { s.fresh(ctx, s.names.delayed, command, s.takeDelayed) },
		func() { s.fresh(ctx, s.names.dead, command, s.takeDead) },
	})
	var tasks []func()
	for _, c := range s.open() {
		tasks = append(tasks, func() { s.record(ctx, c) })
	}
	s.together(tasks)
	s.drain()
}

// fresh reads what a stream has taken since it was looked at last.
func (s *search) fresh(ctx context.Context, stream string, keep func(history.Message) bool, take func(history.Message)) {
	span, err := s.streams.Span(ctx, stream)
	if err != nil {
		return // the next look reads it
	}
	s.mu.Lock()
	next := max(s.next[stream], span.First)
	s.mu.Unlock()
	if span.Last < next || span.Messages == 0 {
		return
	}
	_, err = s.streams.Forward(ctx, history.Query{Stream: stream, First: next, Last: span.Last, Keep: keep}, func(m history.Message) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		take(m)
		return true
	})
	if err != nil {
		return
	}
	s.mu.Lock()
	s.next[stream] = span.Last + 1
	s.mu.Unlock()
}

// everything is what belongs to what was found.
func (s *search) everything() *wanted {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := new(wanted).id(s.q.ID)
	unknown := len(s.kinds) == 0
	if unknown || slices.Contains(s.kinds, KindEntity) {
		w.entity(s.q.ID)
	}
	for _, e := range s.found {
		if e.Step == Reserved && e.Entity != "" && slices.Contains(s.kinds, KindKey) {
			w.entity(e.Entity)
		}
	}
	if isTrace(s.q.ID) && s.may(KindTrace) && (unknown || slices.Contains(s.kinds, KindTrace)) {
		w.trace(s.q.ID)
	}
	for c, k := range s.commands {
		w.id(c.id)
		if c.id == s.q.ID {
			for trace := range k.traces {
				w.trace(trace)
			}
		}
	}
	for id := range s.causes {
		w.id(id)
	}
	if !slices.Contains(s.kinds, KindEntity) {
		for id, e := range s.events {
			if w.id(id); id == s.q.ID && e.Trace != "" {
				w.trace(e.Trace)
			}
		}
	}
	return w
}

// open are commands that have no result yet.
func (s *search) open() []command {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := map[command]bool{}
	for _, e := range s.found {
		if e.Step == Resulted {
			ended[command{e.Source, e.Command}] = true
		}
	}
	var all []command
	for _, c := range s.sorted() {
		if k := s.commands[c]; !k.closed && len(all) < mostOpen {
			k.closed = ended[c] // asked once more after the end: the last attempt is recorded before the result
			all = append(all, c)
		}
	}
	return all
}
