package tenant

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// tx is the transaction of one operation on the store, under the simulator's lock. If the operation fails, its changes are undone. Its
// events are fired only if it succeeds.
type tx struct {
	*Call
	Env
	Config
	store    *store
	contract *contract
	user     string // the key's user
	now      time.Time

	status int // of a successful answer; 0 means the usual status
	undo   []func()
	done   []Change // the changes that undo would revert, in the form of the journal
	events []Event
}

// Change is the new state of an object, or null if it was deleted. Last is the last sequential number of its kind.
type Change struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	Object Object `json:"object"`
	Last   int64  `json:"last,omitempty"`
}

// Event is an action on an object.
type Event struct {
	Action, EntityID string
}

func (t *tx) fire(action, entity string) {
	if action != "" {
		t.events = append(t.events, Event{action, entity})
	}
}

// atomically runs change and undoes everything if it fails. It can be nested, so that an element of a partial batch fails alone.
func (t *tx) atomically(change func() error) error {
	done, fired := len(t.undo), len(t.events)
	err := change()
	if err != nil {
		for _, undo := range slices.Backward(t.undo[done:]) {
			undo()
		}
		t.undo, t.done, t.events = t.undo[:done], t.done[:done], t.events[:fired]
	}
	return err
}

func (t *tx) put(kind string, o Object) {
	var readable time.Time
	if t.ReadableAfter > 0 {
		readable = t.now.Add(t.ReadableAfter)
	}
	t.undo = append(t.undo, t.store.put(kind, o, readable))
	t.done = append(t.done, Change{kind, o.ID(), o, t.store.of(kind).last})
}

func (t *tx) remove(kind, id string) {
	t.undo = append(t.undo, t.store.remove(kind, id))
	t.done = append(t.done, Change{Kind: kind, ID: id})
}

// get finds an object. Queries see the readable state, commands the current one.
func (t *tx) get(kind, id string) (Object, error) {
	c := t.store.of(kind)
	o := c.items[id]
	if !t.op.Writes() {
		o = c.readable(id, t.now)
	}
	if o == nil {
		return nil, notFound(kind, id)
	}
	return o, nil
}

// list returns the objects that match, in the order of their creation. A nil match accepts all.
func (t *tx) list(kind string, match func(Object) bool) []Object {
	c, out := t.store.of(kind), []Object{}
	for _, id := range c.order {
		if o, err := t.get(kind, id); err == nil && (match == nil || match(o)) {
			out = append(out, o)
		}
	}
	return out
}

// where matches objects by one property.
func where(key, value string) func(Object) bool {
	return func(o Object) bool { return o.Str(key) == value }
}

// fields is the request's body as an object.
func (t *tx) fields() Object {
	m, _ := t.body.(map[string]any)
	return m
}

// Instant is a time in factro's form.
func Instant(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

func millis(at time.Time) json.Number { return whole(at.UnixMilli()) }

// render is an object as answers show it.
func (t *tx) render(kind string, o Object, row bool) Object {
	k, out := kinds[kind], maps.Clone(o)
	for key, value := range out {
		switch {
		case strings.HasPrefix(key, "_"),
			row && slices.Contains(k.notInRows, key),
			value == nil && t.Variants.AbsentNull && !slices.Contains(t.contract.shape(k.schema).required, key):
			delete(out, key)
		}
	}
	return out
}

func (t *tx) renderRows(kind string, objects []Object) []any {
	out := make([]any, len(objects))
	for i, o := range objects {
		out[i] = t.render(kind, o, true)
	}
	return out
}
