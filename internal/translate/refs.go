package translate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// KeyRef is a place in the data of a command or query where an object is named by its external key instead of its id.
type KeyRef struct {
	// Pointer is the JSON pointer of the place.
	Pointer string
	// Kinds are the kinds of objects that the place can name.
	Kinds []string
	// Key is the external key.
	Key string

	item  int // of the list, or -1
	field string
}

// keyProperty is the only property of the object that stands for an id.
const keyProperty = "externalkey"

// Placeholder stands for an id that is not known yet, so that everything else can be checked.
const Placeholder = "00000000-0000-4000-8000-000000000000"

// KeyRefs finds the external keys in the data of an operation. Data that is no object has none; Command reports that.
func KeyRefs(op factro.Operation, data []byte) ([]KeyRef, error) {
	if op.Body != factro.BodyList && flat(data) {
		return nil, nil
	}
	fields, err := jsontext.Object(data)
	if err != nil {
		return nil, nil //nolint:nilerr // Command reports it with the form that is wanted
	}
	var refs []KeyRef
	var wrong []events.FieldError
	collect := func(item int, prefix string, fields map[string]json.RawMessage, kindsOf func(string) []string) {
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			kinds := kindsOf(name)
			ref := KeyRef{Pointer: prefix + "/" + pointerToken(name), Kinds: kinds, item: item, field: name}
			switch key, mistake, is := keyIn(fields[name]); {
			case len(kinds) == 0 || !is:
			case mistake != "":
				wrong = append(wrong, events.FieldError{Pointer: ref.Pointer + "/" + keyProperty, Message: mistake})
			default:
				ref.Key = key
				refs = append(refs, ref)
			}
		}
	}
	collect(-1, "", fields, factro.FieldEntities)
	if op.Body == factro.BodyList {
		for i, item := range listOf(fields["items"]) {
			if properties, err := jsontext.Object(item); err == nil {
				collect(i, "/items/"+strconv.Itoa(i), properties, op.ItemEntities)
			}
		}
	}
	return refs, invalid(wrong)
}

// flat says whether data is an object that has no object in it, as nearly always.
func flat(data []byte) bool {
	var room [16]jsontext.Member
	all, ok := jsontext.Members(data, room[:0])
	return ok && !slices.ContainsFunc(all, func(m jsontext.Member) bool { return m.Value[0] == '{' })
}

// keyIn reads the object that stands for an id. is says whether the value is such an object.
func keyIn(value json.RawMessage) (key, mistake string, is bool) {
	if !bytes.HasPrefix(value, []byte("{")) { // nearly always; encoding/json leaves no blanks before a value
		return "", "", false
	}
	fields, err := jsontext.Object(value)
	raw, there := fields[keyProperty]
	if err != nil || !there || len(fields) != 1 {
		return "", "", false
	}
	key, isText := jsontext.String(string(raw))
	switch {
	case !isText && !jsontext.Valid(string(raw)):
		return "", "half of a surrogate pair, want valid text", true
	case !isText:
		return "", jsontext.Shape(raw) + ", want a string", true
	}
	return key, BadKey(key), true
}

// BadKey says why a text can be no external key, or "".
func BadKey(key string) string {
	switch {
	case key == "":
		return "an empty external key, want 1 to " + strconv.Itoa(attr.MaxExternalKey) + " bytes"
	case len(key) > attr.MaxExternalKey:
		return fmt.Sprintf("an external key of %d bytes, want at most %d", len(key), attr.MaxExternalKey)
	case !utf8.ValidString(key):
		return "an external key that is not valid UTF-8"
	}
	return ""
}

func listOf(raw json.RawMessage) []json.RawMessage {
	var items []json.RawMessage
	_ = json.Unmarshal(raw, &items) // what is no list has no elements
	return items
}

// WithIDs puts ids in the places of external keys. Where ids has none, a placeholder stands for it.
func WithIDs(data []byte, refs []KeyRef, ids map[string]string) ([]byte, error) {
	if len(refs) == 0 {
		return data, nil
	}
	fields, err := jsontext.Object(data)
	if err != nil {
		return nil, fmt.Errorf("the data is %w", err)
	}
	items := listOf(fields["items"])
	for _, ref := range refs {
		id, known := ids[ref.Pointer]
		if !known {
			id = Placeholder
		}
		value, err := jsontext.Encode(id)
		if err != nil {
			return nil, err
		}
		if ref.item < 0 {
			fields[ref.field] = value
			continue
		}
		item, err := jsontext.Object(items[ref.item])
		if err != nil {
			return nil, err
		}
		item[ref.field] = value
		if items[ref.item], err = jsontext.Encode(item); err != nil {
			return nil, err
		}
	}
	if items != nil {
		if fields["items"], err = jsontext.Encode(items); err != nil {
			return nil, err
		}
	}
	return jsontext.Encode(fields)
}

// Check says what is wrong with the data of a command or query. External keys count as ids.
func Check(op factro.Operation, data []byte) error {
	refs, err := KeyRefs(op, data)
	if err != nil {
		return err
	}
	if data, err = WithIDs(data, refs, nil); err == nil {
		_, err = Command(op, data)
	}
	return err
}

// IDIn is the id in a field of the data. refs are the ids that external keys in the data stand for, by their pointers.
func IDIn(data []byte, field string, refs map[string]string) string {
	if id := refs["/"+field]; id != "" {
		return id
	}
	fields, err := jsontext.Object(data)
	if err != nil {
		return ""
	}
	id, _ := jsontext.String(string(fields[field]))
	return id
}

// InPath says whether a reference is the only parameter in the path of an operation, so that a 404 is about its object.
func (r KeyRef) InPath(op factro.Operation) bool {
	return r.item < 0 && strings.Count(op.Path, "{") == 1 && slices.ContainsFunc(op.Params, func(p factro.Param) bool { return !p.Query && p.Field == r.field })
}

// UnknownKey is the error for a reference whose external key has no object.
func (r KeyRef) UnknownKey() events.FieldError {
	return events.FieldError{Pointer: r.Pointer, Message: fmt.Sprintf("there is no %s with the external key %.200q", strings.Join(r.Kinds, " or "), r.Key)}
}

// UnclearKey is the error for a reference whose external key has objects of several kinds.
func (r KeyRef) UnclearKey() events.FieldError {
	return events.FieldError{Pointer: r.Pointer, Message: fmt.Sprintf("several objects (%s) have this external key, want the id", strings.Join(r.Kinds, ", "))}
}

// NotUpdated reports the fields in a create's data that its update does not take.
func NotUpdated(u factro.Upsert, data []byte) error {
	fields, err := jsontext.Object(data)
	if err != nil {
		return nil //nolint:nilerr // Command has reported it
	}
	var wrong []events.FieldError
	for _, name := range u.Refused {
		if _, sent := fields[name]; sent {
			wrong = append(wrong, events.FieldError{Pointer: "/" + name, Message: fmt.Sprintf(
				"%s does not take this property; leave it out, or send the command without onconflict", u.Update.Name)})
		}
	}
	return invalid(wrong)
}

// Update translates the data of a create into the call that updates the object with that id.
func Update(u factro.Upsert, data []byte, id string) (Call, error) {
	fields, err := jsontext.Object(data)
	if err != nil {
		return Call{}, fmt.Errorf("the data is %w", err)
	}
	for _, name := range u.Dropped {
		delete(fields, name)
	}
	if fields[u.ID], err = jsontext.Encode(id); err != nil {
		return Call{}, err
	}
	if data, err = jsontext.Encode(fields); err != nil {
		return Call{}, err
	}
	return Command(u.Update, data)
}
