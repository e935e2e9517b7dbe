package change

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// Fold returns the state that a change makes of an older one. A change that the state has already, since it is from the same time or
// later, leaves it as it is. So a program can read states with [Get] or [Watch] and fold in what [Subscribe] brings, in its order.
//
// The result has the fields of factro's object, sorted by name, but for those that the bridge does not count as a change: these stay as
// they were. Its revision is 0, since it is that of no entry.
//
// It is an error if the change is one of another object, or if there is no state that it could change.
func Fold(s State, c Change) (State, error) {
	switch {
	case s.ID != "" && (s.Cloud != c.Cloud || s.Resource != c.Resource || s.ID != c.ID):
		return s, fmt.Errorf("the change is one of %s %s of %s, and the state is of %s %s of %s",
			c.Resource, binding.Quote(c.ID), c.Cloud, s.Resource, binding.Quote(s.ID), s.Cloud)
	case s.has(c):
		return s, nil
	}
	next := State{
		Cloud: c.Cloud, Resource: c.Resource, ID: c.ID, ReadAt: c.Time, Origin: c.Origin, Causes: c.Causes, Change: c.Sequence,
		Gone: c.What == Deleted, Status: c.Status,
	}
	if next.Origin == "" {
		next.Origin = OriginEvent
	}
	if next.Gone {
		return next, nil
	}
	fields := map[string]json.RawMessage{}
	switch {
	case c.What == Created, c.Whole:
	case len(s.Data) == 0:
		return s, fmt.Errorf("%s %s was updated, and there is no state before it", c.Resource, binding.Quote(c.ID))
	default:
		if err := json.Unmarshal(s.Data, &fields); err != nil {
			return s, fmt.Errorf("state of %s %s: %w", c.Resource, binding.Quote(c.ID), err)
		}
		for name := range c.Before {
			delete(fields, name)
		}
	}
	maps.Copy(fields, c.After)
	data, err := jsontext.Encode(fields)
	if err != nil {
		return s, fmt.Errorf("change of %s %s: %w", c.Resource, binding.Quote(c.ID), err)
	}
	next.Data = data
	return next, nil
}

// has reports whether a state is from the same time as a change or later. An object that comes back replaces no state.
func (s State) has(c Change) bool {
	if c.Sequence > 0 && c.Sequence <= s.Change {
		return true
	}
	back := s.Gone && c.What == Created
	return c.StateFrom < s.Revision && !back
}
