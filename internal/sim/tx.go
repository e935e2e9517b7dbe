package sim

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// tx is one operation at work on the store, under the simulator's lock. What it did is undone if it fails, and its
// events are fired only if it succeeds.
type tx struct {
	store    *store
	contract *contract
	newID    func() string
	payloads func(since time.Time, action string) []any
	variants Variants
	delivery Delivery
	mandant  string
	user     string // the key's user
	now      time.Time

	op     factro.Operation
	params map[string]string
	query  url.Values
	body   any // decoded, numbers as json.Number; nil without a body
	file   *upload
	// elements are the errors that the contract found in the elements of a partial batch, by index.
	elements map[int]error

	status int // of a good answer, if it is not the usual one
	undo   []func()
	done   []change // what undo would take back, as the journal has it
	events []event
}

// event is something that happened to an object.
type event struct {
	action, entity string
}

func (t *tx) fire(action, entity string) {
	if action != "" {
		t.events = append(t.events, event{action, entity})
	}
}

// atomically runs change and takes back all it did if it fails. It nests, so an element of a partial batch fails alone.
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

func (t *tx) put(kind string, o object) {
	var readable time.Time
	if t.delivery.ReadableAfter > 0 {
		readable = t.now.Add(t.delivery.ReadableAfter)
	}
	t.undo = append(t.undo, t.store.put(kind, o, readable))
	t.done = append(t.done, change{kind, o.id(), o, t.store.of(kind).last})
}

func (t *tx) remove(kind, id string) {
	t.undo = append(t.undo, t.store.remove(kind, id))
	t.done = append(t.done, change{Kind: kind, ID: id})
}

// get finds an object: queries see what is readable, commands what is.
func (t *tx) get(kind, id string) (object, error) {
	c := t.store.of(kind)
	o := c.items[id]
	if !t.op.Writes() {
		o = c.seen(id, t.now)
	}
	if o == nil {
		return nil, notFound(kind, id)
	}
	return o, nil
}

// list returns the objects that match, in the order of their creation. A nil match takes all.
func (t *tx) list(kind string, match func(object) bool) []object {
	c, out := t.store.of(kind), []object{}
	for _, id := range c.order {
		if o, err := t.get(kind, id); err == nil && (match == nil || match(o)) {
			out = append(out, o)
		}
	}
	return out
}

// where matches objects by one property.
func where(key, value string) func(object) bool {
	return func(o object) bool { return o.str(key) == value }
}

// fields is the request's body as an object.
func (t *tx) fields() object {
	m, _ := t.body.(map[string]any)
	return m
}

// instant is a point in time as factro writes it.
func instant(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

func millis(at time.Time) json.Number { return whole(at.UnixMilli()) }

// render is what leaves the simulator of an object.
func (t *tx) render(kind string, o object, row bool) object {
	k, out := kinds[kind], maps.Clone(o)
	for key, value := range out {
		switch {
		case strings.HasPrefix(key, "_"),
			row && slices.Contains(k.notInRows, key),
			value == nil && t.variants.AbsentNull && !slices.Contains(t.contract.shape(k.schema).required, key):
			delete(out, key)
		}
	}
	return out
}

func (t *tx) renderRows(kind string, objects []object) []any {
	out := make([]any, len(objects))
	for i, o := range objects {
		out[i] = t.render(kind, o, true)
	}
	return out
}
