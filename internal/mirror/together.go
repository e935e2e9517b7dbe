package mirror

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/mirror/queue"
)

const (
	// listFrom is from how many objects of one list on that list is read instead of each of them.
	listFrom = 10
	// lookedAt bounds the objects whose parents are looked up for that.
	lookedAt = 500
)

// listInstead reads a list, if that is cheaper than to read an object and those that wait with it, or if nothing else shows the object.
// It says whether it did.
func (s *session) listInstead(ctx context.Context, w queue.Work) (done bool, _ error) {
	known := s.resources[w.Resource]
	full := slices.Contains(s.look().FullLists, w.Resource) && w.Failures == 0
	if !known.ByParent && (known.List.Name == "" || !full) {
		return false, nil
	}
	others := s.queue.Waiting(w.Resource, time.Now(), lookedAt)
	if !known.ByParent && len(others)+1 < listFrom {
		return false, nil
	}
	parent := s.parent(ctx, w.Object, known.EachField)
	if known.Each != "" {
		if parent == "" && known.ByParent {
			return true, s.ended(ctx, w, fetched{}, unknown, nil)
		}
		others = slices.DeleteFunc(others, func(o queue.Object) bool { return parent == "" || s.parent(ctx, o, known.EachField) != parent })
	}
	if !known.ByParent && len(others)+1 < listFrom {
		return false, nil
	}
	works := map[string]queue.Work{w.ID: w}
	for _, o := range others {
		if other, ok := s.queue.Take(o); ok {
			works[o.ID] = other
		}
	}
	return true, s.readTogether(ctx, known, parent, works)
}

// parent is the parent of an object, as far as it is known. Each object that waits is looked at many times, but read once.
func (s *session) parent(ctx context.Context, o queue.Object, field string) string {
	if field == "" {
		return ""
	}
	entry := s.parentage.of(o)
	if entry.known {
		return entry.parent
	}
	k, err := s.parts.Store.Entry(ctx, o.Resource, o.ID)
	if err != nil {
		return ""
	}
	id := text(k.Object[field])
	s.parentage.is(o, entry, id)
	return id
}

// parentage is the parents of objects, as their entries have them.
type parentage struct {
	mu      sync.Mutex
	entries map[queue.Object]*parentEntry
}

type parentEntry struct {
	parent string
	known  bool // else somebody looks at the entry just now
}

func (p *parentage) of(o queue.Object) *parentEntry {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.entries[o]; e != nil && e.known {
		return e
	}
	if p.entries == nil || len(p.entries) >= 2*mostEvents {
		p.entries = map[queue.Object]*parentEntry{} // those that still wait are looked at again
	}
	e := &parentEntry{}
	p.entries[o] = e
	return e
}

// is keeps the parent of an object, unless its entry was written since of has returned e.
func (p *parentage) is(o queue.Object, e *parentEntry, parent string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.entries[o] == e {
		p.entries[o] = &parentEntry{parent, true}
	}
}

// forget has the entry of an object be looked at again: it was written.
func (p *parentage) forget(o queue.Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.entries, o)
}

// readTogether reads objects by a list. Those that it does not show are read by themselves, or are gone if nothing else shows them. An
// error ends the session.
func (s *session) readTogether(ctx context.Context, known factro.Mirrored, parent string, works map[string]queue.Work) error {
	var over error
	started := time.Now()
	err := s.elements(ctx, listOf(known, parent), func(began time.Time, id string, text []byte) error {
		w, ok := works[id]
		if !ok {
			return nil
		}
		delete(works, id)
		f := fetched{text: text, began: began}
		outcome, err := s.apply(ctx, w, f, s.origin(w), true)
		over = s.ended(ctx, w, f, outcome, err)
		return over
	})
	if over != nil {
		err = over
	}
	for _, w := range works {
		switch {
		case ctx.Err() != nil, errors.Is(err, errOver):
			s.queue.Failed(w.Object, time.Now())
			continue
		case !known.ByParent:
			over = s.read(ctx, w)
		case err != nil:
			over = s.ended(ctx, w, fetched{}, "", err)
		default:
			f := fetched{status: http.StatusNotFound, began: started}
			outcome, err := s.apply(ctx, w, f, s.origin(w), true)
			over = s.ended(ctx, w, f, outcome, err)
		}
		if over != nil {
			err = over
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return over
}
