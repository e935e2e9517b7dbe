package batch

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/internal/translate/compare"
)

// object is one object of an answer.
type object struct {
	raw    json.RawMessage
	fields map[string]json.RawMessage
	id     string
}

// match returns the object of each element of a list, nil where that is not certain. It is not known whether factro keeps the order,
// and whether it shows what it was sent in the same form.
func match(op factro.Operation, all []element, answer []byte) []json.RawMessage {
	objects := objectsIn(answer)
	out := make([]json.RawMessage, len(all))
	if !op.Creates() {
		for _, o := range objects {
			if i := slices.IndexFunc(all, func(e element) bool { return e.id == o.id && o.id != "" }); i >= 0 {
				out[i] = o.raw
			}
		}
		return out
	}
	ids := map[string]bool{}
	for _, o := range objects {
		ids[o.id] = true
	}
	if len(objects) != len(all) || len(ids) != len(all) || ids[""] {
		return out // what it shows is not what the list has made
	}
	m := matcher{all: all, objects: objects, names: namesOf(op)}
	m.learn()
	for place, at := range m.match() {
		out[place] = objects[at].raw
	}
	return out
}

func objectsIn(answer []byte) []object {
	var list []json.RawMessage
	if json.Unmarshal(answer, &list) != nil {
		return nil
	}
	out := make([]object, len(list))
	for i, raw := range list {
		fields, _ := jsontext.Object(raw)
		out[i] = object{raw, fields, idOf(fields)}
	}
	return out
}

// namesOf are the properties of an object that may show a field, where they have other names.
func namesOf(op factro.Operation) map[string][]string {
	names := map[string][]string{}
	if op.Search != nil {
		for _, c := range slices.Concat(op.Search.Same, op.Search.Like) {
			names[c.Field] = c.Items
		}
	}
	return names
}

// matcher finds the objects of the elements by what was sent. It uses only fields that factro evidently shows as they were sent.
type matcher struct {
	all     []element
	objects []object
	names   map[string][]string
	shown   []string // the fields that it shows as they were sent
}

// learn finds out which fields are shown as they were sent: each sent value is there as often as it was sent, at least, and no object
// has another value, but for those whose element did not send the field.
func (m *matcher) learn() {
	fields := map[string]bool{}
	for _, e := range m.all {
		for name := range e.fields {
			fields[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		sent, other := 0, 0
		shown := true
		for _, e := range m.all {
			value, has := e.fields[name]
			if !has {
				continue
			}
			sent++
			equals := 0
			for _, f := range m.all {
				if v, has := f.fields[name]; has && compare.Alike(value, v) {
					equals++
				}
			}
			for _, o := range m.objects {
				if m.shows(o, name, value) {
					equals--
				}
			}
			shown = shown && equals <= 0
		}
		for _, o := range m.objects {
			if !slices.ContainsFunc(m.all, func(e element) bool {
				value, has := e.fields[name]
				return has && m.shows(o, name, value)
			}) {
				other++
			}
		}
		if shown && other <= len(m.all)-sent {
			m.shown = append(m.shown, name)
		}
	}
}

// shows says whether an object has a value in the place of a field.
func (m *matcher) shows(o object, field string, value json.RawMessage) bool {
	names := m.names[field]
	if len(names) == 0 {
		names = []string{field}
	}
	return slices.ContainsFunc(names, func(name string) bool {
		have, has := o.fields[name]
		return has && compare.Alike(value, have)
	})
}

// fits says whether an object can be that of an element.
func (m *matcher) fits(e element, o object) bool {
	for _, name := range m.shown {
		if value, sent := e.fields[name]; sent && !m.shows(o, name, value) {
			return false
		}
	}
	return true
}

// class are elements that are equal in content. Which of their objects belongs to which of them makes no difference.
type class struct {
	elements []int
	fits     map[int]bool // the objects that are left for them
}

// match returns which object belongs to which element, as far as that is certain: as many objects are left for a class as it has
// elements.
func (m *matcher) match() map[int]int {
	var classes []*class
	byContent := map[string]*class{}
	for i, e := range m.all {
		content, err := contentOf(e)
		c := byContent[content]
		if c == nil || err != nil {
			c = &class{fits: map[int]bool{}}
			for at, o := range m.objects {
				if m.fits(e, o) {
					c.fits[at] = true
				}
			}
			byContent[content] = c
			classes = append(classes, c)
		}
		c.elements = append(c.elements, i)
	}
	found := map[int]int{}
	for again := true; again; {
		again = false
		for _, c := range classes {
			if len(c.elements) == 0 || len(c.fits) != len(c.elements) {
				continue
			}
			for n, at := range slices.Sorted(maps.Keys(c.fits)) { // the order counts among equals
				found[c.elements[n]] = at
				for _, other := range classes {
					if other != c {
						delete(other.fits, at)
					}
				}
			}
			c.elements, c.fits, again = nil, nil, true
		}
	}
	if slices.ContainsFunc(classes, func(c *class) bool { return len(c.fits) < len(c.elements) }) {
		return nil // the objects are not those of the elements, or not in the form that it seemed
	}
	return found
}

func contentOf(e element) (string, error) {
	text, err := jsontext.Encode(e.fields)
	if err != nil {
		return "", err
	}
	canonical, err := jsontext.Canonical(text)
	return string(canonical), err
}
