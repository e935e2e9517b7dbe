package mirror

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/mirror/queue"
)

const (
	// listFrom is from how many objects of one list on that list is read instead of each of them.
	listFrom = 10
	// lookedAt bounds the objects whose parents are looked up for that.
	lookedAt = 500
)

// listInstead reads a list, if that is cheaper than to read an object and those that wait with it. It says whether it did.
func (s *session) listInstead(ctx context.Context, w queue.Work) (done bool, _ error) {
	known := s.resources[w.Resource]
	if known.List.Name == "" || !slices.Contains(s.look().FullLists, w.Resource) || w.Failures > 0 {
		return false, nil
	}
	others := s.queue.Waiting(w.Resource, time.Now(), lookedAt)
	if len(others)+1 < listFrom {
		return false, nil
	}
	parent := s.parent(ctx, w.Object, known.EachField)
	if known.Each != "" {
		if parent == "" {
			return false, nil
		}
		others = slices.DeleteFunc(others, func(o queue.Object) bool { return s.parent(ctx, o, known.EachField) != parent })
		if len(others)+1 < listFrom {
			return false, nil
		}
	}
	works := map[string]queue.Work{w.ID: w}
	for _, o := range others {
		if other, ok := s.queue.Take(o); ok {
			works[o.ID] = other
		}
	}
	return true, s.readTogether(ctx, parent, works)
}

// parent is the parent of an object, as far as it is known.
func (s *session) parent(ctx context.Context, o queue.Object, field string) string {
	if field == "" {
		return ""
	}
	k, err := s.parts.Store.Entry(ctx, o.Resource, o.ID)
	if err != nil {
		return ""
	}
	return text(k.Object[field])
}

// readTogether reads objects by a list. Those that it does not show are read by themselves. An error ends the session.
func (s *session) readTogether(ctx context.Context, parent string, works map[string]queue.Work) error {
	var resource string
	for _, w := range works {
		resource = w.Resource
	}
	var over error
	err := s.elements(ctx, listOf(s.resources[resource], parent), func(began time.Time, id string, text []byte) error {
		w, ok := works[id]
		if !ok {
			return nil
		}
		delete(works, id)
		outcome, err := s.apply(ctx, w, fetched{text: text, began: began}, s.origin(w), true)
		over = s.ended(ctx, w, outcome, err)
		return over
	})
	if over != nil {
		err = over
	}
	if ctx.Err() != nil || errors.Is(err, errOver) {
		for _, w := range works {
			s.queue.Failed(w.Object, time.Now())
		}
		return err
	}
	for _, w := range works {
		if err := s.read(ctx, w); err != nil {
			return err
		}
	}
	return nil
}
