package diff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// Object is a JSON object by its fields, whose values are as they were sent. Nil stands for an object that does not exist.
type Object map[string]json.RawMessage

// Parse reads an object.
func Parse(text []byte) (Object, error) {
	fields, err := jsontext.Object(text)
	if err != nil {
		return nil, fmt.Errorf("an object of factro: %w", err)
	}
	if fields == nil {
		fields = Object{}
	}
	return fields, nil
}

// Difference is what differs between two states of an object. Before lacks the fields that are new, After those that are gone.
type Difference struct {
	Before  Object   `json:"before"`
	After   Object   `json:"after"`
	Changed []string `json:"changed"`
}

// Between compares the fields of two states of an object, but for those that are noise. Values are equal if they mean the same: the
// order of fields and blanks do not count.
func Between(before, after Object, noise []string) Difference {
	d := Difference{Before: Object{}, After: Object{}, Changed: []string{}}
	for name := range union(before, after) {
		old, had := before[name]
		now, has := after[name]
		if slices.Contains(noise, name) || had && has && Equal(old, now) {
			continue
		}
		if had {
			d.Before[name] = old
		}
		if has {
			d.After[name] = now
		}
		d.Changed = append(d.Changed, name)
	}
	slices.Sort(d.Changed)
	return d
}

// None says whether nothing differs.
func (d Difference) None() bool { return len(d.Changed) == 0 }

// Fold returns the state that a difference leads to from an older one.
func Fold(older Object, d Difference) Object {
	folded := maps.Clone(older)
	if folded == nil {
		folded = Object{}
	}
	for name := range d.Before {
		delete(folded, name)
	}
	maps.Copy(folded, d.After)
	return folded
}

// Equal says whether two JSON values mean the same.
func Equal(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	one, err := jsontext.Canonical(a)
	if err != nil {
		return false
	}
	other, err := jsontext.Canonical(b)
	return err == nil && bytes.Equal(one, other)
}

// Without returns the text of an object without some of its fields. What is left stays byte for byte as it was.
func Without(text []byte, names []string) ([]byte, error) {
	object, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(names, func(name string) bool { return object[name] != nil }) {
		return text, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("an object of factro: %w", err)
	}
	var kept bytes.Buffer
	kept.WriteByte('{')
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("an object of factro: %w", err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("an object of factro: %w", err)
		}
		key, _ := name.(string) // a name is a string
		if slices.Contains(names, key) {
			continue
		}
		if kept.Len() > 1 {
			kept.WriteByte(',')
		}
		quoted, err := json.Marshal(key)
		if err != nil {
			return nil, fmt.Errorf("an object of factro: %w", err)
		}
		kept.Write(quoted)
		kept.WriteByte(':')
		kept.Write(value)
	}
	kept.WriteByte('}')
	return kept.Bytes(), nil
}

func union(a, b Object) map[string]bool {
	all := make(map[string]bool, max(len(a), len(b)))
	for name := range a {
		all[name] = true
	}
	for name := range b {
		all[name] = true
	}
	return all
}
