package translate

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// maxSet is how many bytes of values a result repeats of its command. Beyond it has only the names of the fields.
const maxSet = 4 << 10

// WithSet adds to the result of a command that was applied what its call has set. If nothing was called, nothing was set: the object
// of an external key was there.
func WithSet(r events.Result, op factro.Operation, call Call) events.Result {
	if r.Status != 0 {
		r.Set, r.SetOmitted = Set(op, call)
	}
	return r
}

// Set is what a call sets: the fields of factro's object with their values, or for a list the same of each object, with its id. If the
// values are too large, set is empty, and omitted has the names; of a list it has none. Files are no fields, so their content is in
// neither.
func Set(op factro.Operation, call Call) (set json.RawMessage, omitted []string) {
	switch op.Body {
	case factro.BodyObject, factro.BodyNone:
		body, _ := jsontext.Object(call.Body) // none is no object and has no properties
		fields := op.FieldsSet(body)
		if len(fields) == 0 {
			return nil, nil
		}
		encoded, err := jsontext.Encode(fields)
		if err != nil || len(encoded) > maxSet {
			return nil, slices.Sorted(maps.Keys(fields))
		}
		return encoded, nil
	case factro.BodyList:
		return setOfItems(op, call.Body), nil
	case factro.BodyMultipart:
	}
	return nil, nil
}

// setOfItems is what a list sets of objects that exist. Those that it creates are in the answer.
func setOfItems(op factro.Operation, body []byte) json.RawMessage {
	if op.Creates() || op.Entity() == "" || len(body) > 2*maxSet {
		return nil
	}
	var all []json.RawMessage
	for _, item := range listOf(body) {
		properties, err := jsontext.Object(item)
		if err != nil || properties["id"] == nil {
			return nil
		}
		encoded, err := jsontext.Encode(op.FieldsSet(properties))
		if err != nil {
			return nil
		}
		all = append(all, encoded)
	}
	set, err := jsontext.Encode(all)
	if err != nil || len(set) > maxSet || len(all) == 0 {
		return nil
	}
	return set
}
