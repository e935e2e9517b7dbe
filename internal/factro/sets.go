package factro

import (
	"encoding/json"
	"slices"
)

// Sets says which fields of an object an operation sets, beside those that have the names of properties of its body.
type Sets struct {
	// Named are fields that get the value of a property with another name.
	Named []SetName
	// Cleared are fields that become null.
	Cleared []string
	// Computed are fields that factro computes from one that was set.
	Computed []Computed
}

// SetName is a field of the object, and the property of the body that has its value.
type SetName struct{ Field, Property string }

// Computed are the fields that factro computes from another one.
type Computed struct {
	Of     string
	Fields []string
}

// Entity is the kind of the object whose fields an operation sets, which it creates or deletes. It is "" if there is none, or if the
// operation is about something that is no object of its own, such as an access right.
func (o Operation) Entity() string {
	if o.Answer != AnswerVoid {
		return entitySchemas[o.AnswerSchema]
	}
	if kind, _ := o.Deletes(); kind != "" || o.Creates() {
		return kind
	}
	return o.Resource
}

// FieldsSet are the fields of the object that a body sets, with their values. The body is an object, or an element of a list.
// Properties that the object does not have are left out.
func (o Operation) FieldsSet(body map[string]json.RawMessage) map[string]json.RawMessage {
	if kind, _ := o.Deletes(); kind != "" {
		return nil
	}
	set, known := map[string]json.RawMessage{}, o.entityProperties()
	for name, value := range body {
		if slices.Contains(known, name) {
			set[name] = value
		}
	}
	if o.Sets == nil {
		return set
	}
	for _, n := range o.Sets.Named {
		if value, sent := body[n.Property]; sent {
			delete(set, n.Property)
			set[n.Field] = value
		}
	}
	for _, name := range o.Sets.Cleared {
		set[name] = json.RawMessage("null")
	}
	return set
}

// ComputedOf are the fields that factro computes from one that the operation has set.
func (o Operation) ComputedOf(field string) []string {
	if o.Sets == nil {
		return nil
	}
	for _, c := range o.Sets.Computed {
		if c.Of == field {
			return c.Fields
		}
	}
	return nil
}

// entityProperties are the properties of the object that Entity names.
func (o Operation) entityProperties() []string {
	kind := o.Entity()
	switch {
	case kind == "":
		return nil
	case o.Answer != AnswerVoid:
		return o.AnswerProperties()
	}
	reader, _, _ := ReaderOf(kind)
	return reader.AnswerProperties()
}
