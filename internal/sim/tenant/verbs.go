package tenant

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// handler carries out one operation. It returns the body of the answer, or nil for a void operation.
type handler func(t *tx) (any, error)

// fixed returns properties that do not come from the body, but for example from the path.
type fixed func(t *tx) (Object, error)

func fromPath(property, param, kind string) fixed {
	return func(t *tx) (Object, error) {
		_, err := t.get(kind, t.params[param])
		return Object{property: t.params[param]}, err
	}
}

func listAll(kind string) handler {
	return func(t *tx) (any, error) { return t.renderRows(kind, t.list(kind, nil)), nil }
}

// listOf lists the objects that belong to the owner in the path. An unknown owner is an error.
func listOf(kind, property, ownerKind, param string) handler {
	return func(t *tx) (any, error) {
		if _, err := t.get(ownerKind, t.params[param]); err != nil {
			return nil, err
		}
		return t.renderRows(kind, t.list(kind, where(property, t.params[param]))), nil
	}
}

func getOne(kind, param string) handler {
	return func(t *tx) (any, error) {
		o, err := t.get(kind, t.params[param])
		if err != nil {
			return nil, err
		}
		return t.render(kind, o, false), nil
	}
}

func createOne(kind string, from fixed) handler {
	return func(t *tx) (any, error) {
		o, err := t.createFrom(kind, t.fields(), from)
		if err != nil {
			return nil, err
		}
		return t.render(kind, o, false), nil
	}
}

func createMany(kind string, from fixed) handler {
	return batch(kind, func(t *tx, element Object) (Object, error) { return t.createFrom(kind, element, from) })
}

func updateOne(kind, param string) handler {
	return func(t *tx) (any, error) {
		o, err := t.update(kind, t.params[param], t.fields())
		if err != nil {
			return nil, err
		}
		return t.render(kind, o, false), nil
	}
}

func updateMany(kind string) handler {
	return batch(kind, func(t *tx, element Object) (Object, error) { return t.update(kind, element.ID(), element) })
}

func deleteOne(kind, param string) handler {
	return func(t *tx) (any, error) {
		o, err := t.get(kind, t.params[param])
		if err != nil {
			return nil, err
		}
		t.delete(kind, o)
		return t.render(kind, o, false), nil
	}
}

// batch handles every element. An atomic batch fails with its first invalid element. A partial batch skips invalid elements, and fails
// only if no element is valid. It is not known what factro reports about skipped elements.
func batch(kind string, one func(t *tx, element Object) (Object, error)) handler {
	return func(t *tx) (any, error) {
		list, _ := t.body.([]any)
		if most := t.Variants.AtomicMost; t.op.Batch == factro.BatchAtomic && most > 0 && len(list) > most {
			return nil, &RefusalError{Kind: RefusedTooMany, Message: "request entity too large"}
		}
		out, refused := []any{}, []error(nil)
		for i, e := range list {
			element, _ := e.(map[string]any)
			var o Object
			err := t.elements[i]
			if err == nil {
				err = t.atomically(func() error {
					var err error
					o, err = one(t, element)
					return err
				})
			}
			if err == nil {
				out = append(out, t.render(kind, o, false))
				continue
			}
			if t.op.Batch == factro.BatchAtomic {
				return nil, err
			}
			refused = append(refused, err)
		}
		if len(refused) > 0 && len(out) == 0 {
			return nil, refused[0]
		}
		if len(refused) > 0 && t.Variants.PartialStatus != 0 {
			t.status = t.Variants.PartialStatus
		}
		if t.op.Batch == factro.BatchAtomic {
			return t.showWhole(out), nil
		}
		if t.Variants.ReverseBatches {
			slices.Reverse(out)
		}
		return out, nil
	}
}

// showWhole is the answer to a batch that has taken effect as a whole.
func (t *tx) showWhole(out []any) []any {
	switch t.Variants.AtomicOrder {
	case "reversed":
		slices.Reverse(out)
	case "shuffled":
		slices.SortFunc(out, func(a, b any) int { return strings.Compare(idOf(a), idOf(b)) }) // ids are random
	}
	switch t.Variants.AtomicAnswer {
	case "ids":
		for i, o := range out {
			out[i] = Object{"id": idOf(o)}
		}
	case "short":
		out = out[:max(len(out)-1, 0)]
	}
	return out
}

func idOf(o any) string {
	object, _ := o.(Object)
	return object.ID()
}

func (t *tx) createFrom(kind string, body Object, from fixed) (Object, error) {
	var more Object
	if from != nil {
		var err error
		if more, err = from(t); err != nil {
			return nil, err
		}
	}
	return t.create(kind, body, more)
}

// create makes an object from a body and from properties that a body cannot set.
func (t *tx) create(kind string, body, more Object) (Object, error) {
	k, shape := kinds[kind], t.contract.shape(kinds[kind].schema)
	o := Object{}
	for _, property := range shape.nullable {
		o[property] = nil
	}
	maps.Copy(o, k.defaults)
	o["id"] = t.NewID()
	if !k.noMandant {
		o["mandantId"] = t.MandantID
	}
	if k.creator != "" {
		o[k.creator] = t.user
	}
	if k.numbered {
		o["number"] = t.store.nextNumber(kind)
	}
	maps.Copy(o, t.stored(k, body))
	maps.Copy(o, more)
	setStamp(o, k.created, k.createdStamp, t.now)
	setStamp(o, k.changed, k.changedStamp, t.now)
	if err := t.complete(k, nil, o, body); err != nil {
		return nil, err
	}
	t.put(kind, o)
	if k.action != "" {
		t.fire(k.action+"Created", o.ID())
	}
	return o, nil
}

// update changes only the properties in the body. An empty body changes nothing, not even the change date.
func (t *tx) update(kind, id string, body Object) (Object, error) {
	k := kinds[kind]
	before, err := t.get(kind, id)
	if err != nil {
		return nil, err
	}
	changes := t.stored(k, body)
	delete(changes, "id")
	if fields, named := changes["customFields"].(map[string]any); named && t.Variants.MergeCustomFields {
		kept, _ := before["customFields"].(map[string]any)
		changes["customFields"] = map[string]any(Object(kept).With(fields))
	}
	after := before.With(changes)
	if err := t.complete(k, before, after, body); err != nil {
		return nil, err
	}
	if len(body) == 0 || len(body) == 1 && body["id"] != nil {
		return before, nil
	}
	setStamp(after, k.changed, k.changedStamp, t.now)
	t.put(kind, after)
	t.fireUpdated(kind, before, after, changes)
	return after, nil
}

// fireUpdated fires the events of a change. A change of a task's executor has its own proven action.
func (t *tx) fireUpdated(kind string, before, after, changes Object) {
	k := kinds[kind]
	_, named := changes["executorId"]
	if kind == "task" && named {
		if before["executorId"] != after["executorId"] {
			t.fire("TaskExecutorChanged", after.ID())
		}
		if len(changes) == 1 {
			return
		}
	}
	if len(changes) > 0 && k.action != "" { // a mere move has already fired
		t.fire(k.action+"Updated", after.ID())
	}
}

// delete removes an object and everything that it owns. Only the object itself fires an event: it is not known what factro fires for the
// others.
func (t *tx) delete(kind string, o Object) {
	t.remove(kind, o.ID())
	for _, owned := range kinds[kind].owns {
		for _, part := range t.list(owned[0], where(owned[1], o.ID())) {
			quiet := len(t.events)
			t.delete(owned[0], part)
			t.events = t.events[:quiet]
		}
	}
	if k := kinds[kind]; k.action != "" {
		t.fire(k.action+"Deleted", o.ID())
	}
}

// stored returns the part of a body that is stored: the properties in the operation's schema, with their names in answers, and with
// times in factro's form. The description allows unknown properties; they have no effect.
func (t *tx) stored(k kind, body Object) Object {
	accepted, shape := t.contract.shape(t.op.BodySchema), t.contract.shape(k.schema)
	out := Object{}
	for key, value := range body {
		if !accepted.known[key] {
			continue
		}
		name, isRenamed := k.renamed[key]
		if !isRenamed {
			name = key
		}
		if name == "" {
			continue
		}
		if text, isText := value.(string); isText && slices.Contains(shape.instants, name) {
			if at, err := time.Parse(time.RFC3339, text); err == nil {
				value = Instant(at)
			}
		}
		out[name] = value
	}
	return out
}

// complete validates the references in a body, and then calls the complete function of the kind.
func (t *tx) complete(k kind, before, after, body Object) error {
	for _, property := range slices.Sorted(maps.Keys(k.refs)) {
		id := after.Str(property)
		if _, sent := body[property]; id == "" || !sent && before != nil {
			continue
		}
		if _, err := t.get(k.refs[property], id); err != nil {
			return err
		}
	}
	if k.complete == nil {
		return nil
	}
	return k.complete(t, before, after, body)
}

func setStamp(o Object, property string, form stamp, at time.Time) {
	switch form {
	case isoStamp:
		o[property] = Instant(at)
	case msStamp:
		o[property] = millis(at)
	case noStamp:
	}
}

func whole(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }
