package tenant

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Object is one JSON object. Objects in the store are never changed in place: a change stores a changed copy. So an answer can be
// encoded after the lock is released, and a batch can be undone. Keys with a leading underscore are internal.
type Object map[string]any

// Str is the text of a property, or "" if it is not text.
func (o Object) Str(key string) string { s, _ := o[key].(string); return s }

// ID is the id of an object.
func (o Object) ID() string { return o.Str("id") }

// With is a copy of an object with changes.
func (o Object) With(changes Object) Object {
	out := maps.Clone(o)
	maps.Copy(out, changes)
	return out
}

// version is the state of an object that reads show until a change becomes readable.
type version struct {
	object Object // nil: the object did not exist
	until  time.Time
}

// store keeps objects by kind and id, in the order of their creation. Callers must hold the simulator's lock.
type store struct {
	kinds map[string]*collection
}

type collection struct {
	order []string
	items map[string]Object
	past  map[string]version
	last  int64 // running number
}

func newStore() *store { return &store{kinds: map[string]*collection{}} }

func (st *store) of(kind string) *collection {
	c := st.kinds[kind]
	if c == nil {
		c = &collection{items: map[string]Object{}, past: map[string]version{}}
		st.kinds[kind] = c
	}
	return c
}

// count is the number of objects of a kind.
func (st *store) count(kind string) int {
	if c := st.kinds[kind]; c != nil {
		return len(c.order)
	}
	return 0
}

// readable is the object as reads show it: the old state until a change becomes readable.
func (c *collection) readable(id string, now time.Time) Object {
	if v, delayed := c.past[id]; delayed {
		if now.Before(v.until) {
			return v.object
		}
		delete(c.past, id)
	}
	return c.items[id]
}

// put stores an object under its id and returns a function that undoes it. Until the time readable, reads show the old state.
func (st *store) put(kind string, o Object, readable time.Time) (undo func()) {
	c, id := st.of(kind), o.ID()
	before, existed := c.items[id]
	past, hadPast := c.past[id]
	c.items[id] = o
	if !existed {
		c.order = append(c.order, id)
	}
	if !readable.IsZero() && !hadPast {
		c.past[id] = version{before, readable}
	}
	return func() {
		if existed {
			c.items[id] = before
		} else {
			delete(c.items, id)
			c.order = slices.DeleteFunc(c.order, func(other string) bool { return other == id })
		}
		if hadPast {
			c.past[id] = past
		} else {
			delete(c.past, id)
		}
	}
}

// remove deletes an object if it exists, and returns a function that undoes it.
func (st *store) remove(kind, id string) (undo func()) {
	c := st.of(kind)
	before, existed := c.items[id]
	if !existed {
		return func() {}
	}
	at := slices.Index(c.order, id)
	delete(c.items, id)
	delete(c.past, id)
	c.order = slices.Delete(c.order, at, at+1)
	return func() {
		c.items[id] = before
		c.order = slices.Insert(c.order, at, id)
	}
}

// nextNumber is the next sequential number of a kind. As at factro, no number is used twice, even after a failure.
func (st *store) nextNumber(kind string) json.Number {
	c := st.of(kind)
	c.last++
	return whole(c.last)
}

// clone copies a store; its objects are never changed in place.
func (st *store) clone() *store {
	out := newStore()
	for kind, c := range st.kinds {
		out.kinds[kind] = &collection{order: slices.Clone(c.order), items: maps.Clone(c.items), past: maps.Clone(c.past), last: c.last}
	}
	return out
}
