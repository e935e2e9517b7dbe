package timeline

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// follow reads what belongs to what was found. It returns whether there may be more.
func (s *search) follow(ctx context.Context) bool {
	before := s.size()
	var tasks []func()
	for _, c := range s.unasked() {
		tasks = append(tasks, func() { s.record(ctx, c) })
	}
	for _, id := range s.unread() {
		tasks = append(tasks, s.history(ctx, id, s.keepForLater)...)
	}
	s.together(tasks)
	s.results(ctx)
	s.byTrace(ctx)
	s.drain()
	return s.size() != before
}

// size grows with all that is learned.
func (s *search) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.found) + len(s.commands) + len(s.events) + len(s.causes) + len(s.objects)
}

// unasked are the commands that the ledger was not asked about.
func (s *search) unasked() []command {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []command
	for _, c := range s.sorted() {
		switch k := s.commands[c]; {
		case k.asked:
		case len(all) == mostCommands:
			s.cut = true
			return all
		default:
			k.asked = true
			all = append(all, c)
		}
	}
	return all
}

// sorted are the commands in an order that does not depend on when they were found.
func (s *search) sorted() []command {
	all := make([]command, 0, len(s.commands))
	for c := range s.commands {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b command) int { return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.source, b.source)) })
	return all
}

// unread are the objects whose history may have what led to the commands and events that were found, or followed from them.
func (s *search) unread() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.kinds, KindEntity) || slices.Contains(s.kinds, KindKey) {
		return nil // all of it is shown anyway
	}
	var all []string
	want := func(id string) {
		if id != "" && !s.objects[id] && !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	for _, k := range s.commands {
		want(k.entity)
	}
	for _, e := range s.events {
		want(e.Entity)
	}
	slices.Sort(all)
	if left := mostObjects - len(s.objects); len(all) > left {
		all, s.cut = all[:max(0, left)], true
	}
	return all
}

// mostOperations is how many operations' results are read one by one. The broker finds those of an operation.
const mostOperations = 4

// results reads the results of the commands that were found, which have more in common than what they were found by: while a create waits
// its object has no id.
func (s *search) results(ctx context.Context) {
	s.mu.Lock()
	ids, from := map[string]*wanted{}, s.now()
	for _, c := range s.sorted() {
		k := s.commands[c]
		if k.read || c.id == s.q.ID {
			continue
		}
		k.read = true
		if ids[k.operation] == nil {
			ids[k.operation] = &wanted{}
		}
		ids[k.operation].id(c.id)
		if !k.first.IsZero() && k.first.Before(from) {
			from = k.first
		}
	}
	s.mu.Unlock()
	if _, unknown := ids[""]; unknown || len(ids) > mostOperations {
		var all wanted
		for _, w := range ids {
			all.id(w.raw...)
		}
		ids = map[string]*wanted{"": &all}
	}
	var tasks []func()
	for operation, w := range ids {
		subject := ""
		if operation != "" {
			subject = s.prefix.ResultFilter(s.cloud, events.Any, operation, events.Any)
		}
		tasks = append(tasks, func() {
			s.scan(ctx, scan{stream: s.names.results, subject: subject, from: from.Add(-DefaultBack), keep: w.result, take: s.takeResult})
		})
	}
	s.together(tasks)
}

// byTrace reads what belongs to the trace of the event or of the command that is looked for: whoever answers an event by a command is
// to continue its trace.
func (s *search) byTrace(ctx context.Context) {
	s.mu.Lock()
	var after, earlier wanted
	from, until := s.now(), time.Time{}
	for _, e := range s.events {
		if e.Event == s.q.ID && e.Trace != "" && !s.objects["trace "+e.Trace] {
			s.objects["trace "+e.Trace] = true
			after.trace(e.Trace)
			if e.Time.Before(from) {
				from = e.Time
			}
		}
	}
	first := s.now()
	for c, k := range s.commands {
		if c.id != s.q.ID {
			continue
		}
		for trace := range k.traces {
			if !s.objects["event "+trace] {
				s.objects["event "+trace] = true
				earlier.trace(trace)
			}
		}
		if !k.first.IsZero() && k.first.Before(first) {
			first, until = k.first, k.first // an event is stored before its reader can send a command
		}
	}
	s.mu.Unlock()
	var tasks []func()
	if len(after.traces) > 0 {
		tasks = s.aboutCommands(ctx, &after, "", from.Add(-skew))
	}
	if len(earlier.traces) > 0 && !until.IsZero() {
		tasks = append(tasks, func() {
			s.scan(ctx, scan{stream: s.names.events, from: first.Add(-before), until: until, keep: earlier.event, take: s.takeEvent})
		})
	}
	s.together(tasks)
}

// drain takes out of the pool what has turned out to be wanted.
func (s *search) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var w wanted
	for c := range s.commands {
		w.id(c.id)
	}
	for id := range s.events {
		w.id(id)
	}
	var led wanted
	for id := range s.causes {
		led.id(id)
	}
	led.id(s.q.ID)
	s.pool = slices.DeleteFunc(s.pool, func(p pooled) bool {
		switch {
		case p.change && w.change(p.m):
			s.takeChange(p.m)
		case !p.change && led.event(p.m):
			s.takeEvent(p.m)
		default:
			return false
		}
		return true
	})
}
