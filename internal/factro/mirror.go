package factro

import (
	"maps"
	"slices"
	"strings"
)

// Mirror is how the objects that an operation shows are copied. It is on the operation that reads one object by its id alone, else
// on the list that shows it.
type Mirror struct {
	// List is the operation that lists them. It is empty if no list shows all of them in the same form.
	List string
	// Each is the kind of their parents if List has those of one parent, "" if it has all.
	Each string
	// All is the list of all of them, if some have no parent of the kind Each. It is large.
	All string
	// Noise are properties whose change alone is no change.
	Noise []string
	// Touches are properties that name objects whose computed values may move with a change.
	Touches []Touch
	// Moves are properties whose change may move those values. A new object, and one that goes, may always.
	Moves []string
}

// Touch is a property that holds the id of another object.
type Touch struct {
	Field string
	// Kind is the resource of the other object. It is empty if the property KindIn of the object names it.
	Kind, KindIn string
}

// Mirrored is what there is to know for a copy of all objects of a resource.
type Mirrored struct {
	Resource string
	// Read reads one object by its id, which is the property ReadField of the query's data. Both are empty if ByParent is set.
	Read      Operation
	ReadField string
	// List lists the objects. It has no name if there is no such list: then only events say that they are there.
	List Operation
	// Each is the resource of the parents that List is asked for, and EachField the property of the query's data for a parent's id.
	// An object holds the id of its parent in a property of the same name. Both are empty if List has the objects of all parents.
	Each, EachField string
	// All is the list of all objects, also of those without a parent. It has no name if List has all.
	All Operation
	// Noise, Touches and Moves are those of [Mirror]. They are not to be changed.
	Noise   []string
	Touches []Touch
	Moves   []string
	// ByParent says that factro reads none of these objects by its id alone. List shows them, of one parent or of all.
	ByParent bool
}

// Fields are the top-level properties that an object is known to have, sorted.
func (m Mirrored) Fields() []string {
	properties, _ := propertiesOf(component(m.schema()))
	return slices.Sorted(maps.Keys(properties))
}

func (m Mirrored) schema() string {
	if m.ByParent {
		return m.List.AnswerSchema
	}
	return m.Read.AnswerSchema
}

// MirrorOf is how the objects of a resource are copied. Not every resource can be.
func MirrorOf(resource string) (Mirrored, bool) {
	for _, o := range operations {
		if o.Mirror != nil && entitySchemas[o.AnswerSchema] == resource {
			return o.mirrored(resource), true
		}
	}
	return Mirrored{}, false
}

// MirroredResources are the resources that MirrorOf knows, in the order of openapi.yaml.
func MirroredResources() []string {
	var names []string
	for _, o := range operations {
		if o.Mirror != nil {
			names = append(names, entitySchemas[o.AnswerSchema])
		}
	}
	return names
}

func (o Operation) mirrored(resource string) Mirrored {
	m := Mirrored{Resource: resource, Each: o.Mirror.Each, Noise: o.Mirror.Noise, Touches: o.Mirror.Touches, Moves: o.Mirror.Moves}
	m.List, _ = Lookup(o.Mirror.List) // without a name there is none
	m.All, _ = Lookup(o.Mirror.All)
	if m.ByParent = o.Answer == AnswerList; !m.ByParent {
		m.Read = o
		_, m.ReadField = o.lastEntity()
	}
	for _, p := range m.List.Params {
		if strings.Contains(m.List.Path, "{"+p.Name+"}") {
			m.EachField = p.Field
		}
	}
	return m
}
