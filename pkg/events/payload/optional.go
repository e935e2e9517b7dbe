package payload

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Optional is a property that may be absent, null or set. The three differ: in a change, an absent property keeps its
// value at factro, and null clears it. The zero value is absent; in a struct, the tag "omitzero" keeps it out of the JSON.
type Optional[T any] struct {
	value T
	state state
}

type state uint8

const (
	absent state = iota
	null
	set
)

// Set returns a property that has a value. A slice or a map that is nil is not one: writing it is an error, since JSON
// would make it null.
func Set[T any](v T) Optional[T] { return Optional[T]{value: v, state: set} }

// Null returns a property that is null.
func Null[T any]() Optional[T] { return Optional[T]{state: null} }

// Get returns the value and true, or the zero value of T and false if the property is absent or null.
func (o Optional[T]) Get() (T, bool) { return o.value, o.state == set }

// Or returns the value, or instead if the property is absent or null.
func (o Optional[T]) Or(instead T) T {
	if o.state == set {
		return o.value
	}
	return instead
}

// IsNull tells whether the property is there and null.
func (o Optional[T]) IsNull() bool { return o.state == null }

// IsZero tells whether the property is absent. The tag "omitzero" asks for it.
func (o Optional[T]) IsZero() bool { return o.state == absent }

// String is for people: the value as fmt.Sprint writes it, "null" or "absent".
func (o Optional[T]) String() string {
	switch o.state {
	case set:
		return fmt.Sprint(o.value)
	case null:
		return "null"
	default:
		return "absent"
	}
}

// MarshalJSON writes the value, or null. One that is absent has no JSON of its own and becomes null, too, where no
// "omitzero" leaves it out.
func (o Optional[T]) MarshalJSON() ([]byte, error) {
	if o.state != set {
		return []byte("null"), nil
	}
	out, err := json.Marshal(o.value)
	if err == nil && string(out) == "null" {
		return nil, fmt.Errorf("the %T that was set would be written as null; use Null to say that", o.value)
	}
	return out, err
}

// UnmarshalJSON reads a value or null. It is not called for a property that is absent. Numbers in what may be anything,
// such as custom fields, become a [json.Number], which keeps all their digits.
func (o *Optional[T]) UnmarshalJSON(data []byte) error {
	if string(bytes.TrimSpace(data)) == "null" {
		*o = Null[T]()
		return nil
	}
	var v T
	if err := unmarshal(data, &v); err != nil {
		return err
	}
	*o = Set(v)
	return nil
}
