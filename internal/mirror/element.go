package mirror

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/state"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/shape"
	"github.com/factro-bridge/factro-bridge/internal/diff"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/mirror/queue"
)

// list is a list at factro, of all objects or of those of a parent.
type list struct {
	factro.Operation
	params map[string]string
}

// listOf is the list that shows the objects of a parent, or all if that is empty.
func listOf(known factro.Mirrored, parent string) list {
	if known.EachField != "" {
		return list{known.List, map[string]string{known.EachField: parent}}
	}
	return list{known.List, map[string]string{}}
}

// elements reads a list and hands over its objects one by one, each with the time when the reading began. The list of a parent that is
// gone has none.
func (s *session) elements(ctx context.Context, l list, each func(began time.Time, id string, text []byte) error) error {
	began := time.Now() // before the call: it may wait for the budget, but the objects are not read earlier
	var ours error
	a, _, err := s.call(ctx, l.Operation, l.params, func(body io.Reader) error {
		return shape.Records(body, func(record []byte) error {
			id := idOf(record)
			if !named(id) {
				return nil // it cannot be mirrored
			}
			ours = each(began, id, bytes.Clone(record))
			return ours
		})
	})
	switch {
	case ours != nil:
		return ours
	case err != nil:
		return err
	case gone(a.Status) && !factro.IsUnknownRoute(a.Status, a.Header, a.Body):
		return nil
	case a.Status/100 != 2:
		return &failure{why: a.Text()}
	}
	return nil
}

// element compares an element of a list with the state. What was read by itself meanwhile, or is going to be, is left alone.
func (r *pass) element(ctx context.Context, listing *queue.Listing, began time.Time, id string, text []byte) error {
	if r.seen.has(id) {
		return nil // another list of this pass has shown it
	}
	r.seen.add(id)
	r.update(func(p *Progress) { p.Sweep.Objects++ })
	k, err := r.parts.Store.Entry(ctx, r.Resource, id)
	if err != nil {
		return err
	}
	whole := text
	text, err = diff.Without(whole, r.cfg.Drop[r.Resource])
	if err != nil {
		return nil // it is no object: an event or the next sweep will say more
	}
	unmarked := !k.Dropped && !bytes.Equal(text, whole) // the entry is to say that it lacks fields
	if k.Object != nil && bytes.Equal(k.Text, text) && !unmarked {
		return nil
	}
	same := r.same(k, text)
	if same && r.thin && !unmarked {
		return nil
	}
	if !same && !r.expected(k) {
		r.differs(id)
	}
	if r.kind == Diff {
		return nil
	}
	o := queue.Object{Resource: r.Resource, ID: id}
	if r.thin {
		r.later = append(r.later, o)
		return nil
	}
	if !listing.Hold(o) {
		if !same {
			r.later = append(r.later, o)
		}
		return nil
	}
	defer r.queue.Done(o)
	outcome, err := r.apply(ctx, queue.Work{Object: o}, fetched{text: whole, began: began}, r.origin(), false)
	if f, wrong := errors.AsType[*failure](err); wrong {
		r.log.WarnContext(ctx, "an object of a list could not be mirrored", "cloud", r.cfg.Cloud, "resource", r.Resource, "entity_id", id, "error", f)
		return nil
	}
	if err == nil {
		r.metrics.read(ctx, r.Resource, outcome)
	}
	return err
}

// expected says whether an object is only not known because this is the first snapshot.
func (r *pass) expected(k state.Known) bool { return k.Revision == 0 && r.look().Complete.IsZero() }

// same says whether an element of a list means the same as the state, as far as the list shows it.
func (r *pass) same(k state.Known, text []byte) bool {
	element, err := diff.Parse(text)
	if err != nil || k.Object == nil {
		return false
	}
	before := k.Object
	if r.thin {
		before = diff.Object{}
		for name := range element {
			if value, has := k.Object[name]; has {
				before[name] = value
			}
		}
	}
	return diff.Between(before, element, r.Noise).None()
}

// learnForm finds out, once for each resource and sweep, whether the elements of lists have all fields that an object has when it is
// read by itself. That is not known of factro. It says whether the list has an element at all.
func (r *pass) learnForm(ctx context.Context, l list) (some bool, _ error) {
	if r.formKnown {
		return true, nil
	}
	var id string
	var element diff.Object
	err := r.elements(ctx, l, func(_ time.Time, first string, text []byte) (err error) {
		id = first
		if element, err = diff.Parse(text); err == nil {
			err = errEnough
		}
		return err
	})
	switch {
	case err == nil:
		return false, nil // it is empty
	case !errors.Is(err, errEnough):
		return false, err
	case r.ByParent: // nothing else shows them
		r.formKnown = true
		return true, nil
	}
	r.thin = true // reading each object by itself is always right
	f, err := r.fetch(ctx, r.Mirrored, id)
	if _, wrong := errors.AsType[*failure](err); wrong || err == nil && f.status != 0 {
		return true, nil // the next list tells
	}
	if err != nil {
		return false, err
	}
	alone, err := diff.Parse(f.text)
	if err != nil {
		return true, nil //nolint:nilerr // as above
	}
	r.formKnown, r.thin = true, false
	for name := range alone {
		if _, has := element[name]; !has && !slices.Contains(r.cfg.Drop[r.Resource], name) {
			r.thin = true
		}
	}
	r.update(func(p *Progress) {
		p.FullLists = slices.DeleteFunc(slices.Clone(p.FullLists), func(name string) bool { return name == r.Resource })
		if !r.thin {
			p.FullLists = append(p.FullLists, r.Resource)
		}
	})
	return true, nil
}

var errEnough = errors.New("the first element is enough")
