package translate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// schema is the schema of an operation's data.
type schema struct {
	*jsonschema.Schema
	quick *quick
}

// compiled holds the schemas that were used so far, by operation. Compiling all 155 at start would cost time and memory
// that most bridges never need.
var compiled sync.Map // string -> *schema

// compiling guards the compiler. All operations share one, so that they share the compiled components.
var compiling sync.Mutex

var compiler = sync.OnceValues(func() (*jsonschema.Compiler, error) {
	defs, err := jsonschema.UnmarshalJSON(bytes.NewReader(factro.Schemas))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	return c, c.AddResource(factro.SchemasID, defs)
})

func schemaOf(op factro.Operation) (*schema, error) {
	if s, ok := compiled.Load(op.Name); ok {
		return s.(*schema), nil //nolint:errcheck // nothing else is in the map
	}
	compiling.Lock()
	defer compiling.Unlock()
	if s, ok := compiled.Load(op.Name); ok { // another was first
		return s.(*schema), nil //nolint:errcheck // nothing else is in the map
	}
	whole, err := compile(op)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", op.Name, err)
	}
	s := &schema{whole, quickOf(whole)}
	compiled.Store(op.Name, s)
	return s, nil
}

func compile(op factro.Operation) (*jsonschema.Schema, error) {
	c, err := compiler()
	if err != nil {
		return nil, err
	}
	// Through JSON, since the compiler expects the types of its own decoder.
	text, err := op.DataSchemaJSON()
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	id := "urn:factro:command:" + op.Name
	if err := c.AddResource(id, doc); err != nil {
		return nil, err
	}
	return c.Compile(id)
}

// check validates the data of a command against its schema and returns every mistake. Formats are not checked: which dates
// and ids factro accepts is known from examples only, and factro refuses the others itself.
func check(op factro.Operation, data []byte) ([]events.FieldError, error) {
	schema, err := schemaOf(op)
	if err != nil {
		return nil, err
	}
	if !jsontext.Valid(string(data)) { // factro would get U+FFFD, or an empty id
		return []events.FieldError{{Message: "half of a surrogate pair, such as \\ud800 alone, want valid text"}}, nil
	}
	if schema.quick.sure(data) {
		return nil, nil
	}
	return schema.check(data)
}

// check is check for data that is valid text.
func (s *schema) check(data []byte) ([]events.FieldError, error) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return []events.FieldError{{Message: "not JSON: " + err.Error()}}, nil //nolint:nilerr // the mistake is the sender's
	}
	if mistakes := endless(value); len(mistakes) > 0 {
		return mistakes, nil // the schema is not checked until these are fixed
	}
	err = s.Validate(value)
	if err == nil {
		return nil, nil
	}
	failure, ok := err.(*jsonschema.ValidationError) //nolint:errorlint // the library returns exactly this
	if !ok {
		return nil, fmt.Errorf("validate: %w", err)
	}
	return leaves(failure, nil), nil
}

// Limits on a number. JSON has none, and the validator computes exactly: a million digits, or the seven characters
// 1e999999, would keep it busy for seconds, and a list of them for hours. JavaScript numbers have far fewer digits.
const (
	maxDigits   = 100
	maxExponent = 400
)

// endless finds the numbers beyond the limits, up to a number of mistakes.
func endless(value any) []events.FieldError {
	var found []events.FieldError
	var walk func(v any, at []string)
	walk = func(v any, at []string) {
		if len(found) > maxMistakes {
			return
		}
		switch v := v.(type) {
		case map[string]any:
			for name, e := range v {
				walk(e, append(at, name))
			}
		case []any:
			for i, e := range v {
				walk(e, append(at, strconv.Itoa(i)))
			}
		case json.Number:
			_, digits, _ := strings.Cut(strings.ToLower(v.String()), "e")
			exponent, err := strconv.Atoi(cmp.Or(digits, "0"))
			if len(v) > maxDigits || err != nil || exponent > maxExponent || exponent < -maxExponent {
				found = append(found, events.FieldError{Pointer: pointerTo(at), Message: fmt.Sprintf(
					"a number that is too long, want at most %d characters and an exponent up to %d", maxDigits, maxExponent)})
			}
		}
	}
	walk(value, nil)
	return found
}

// Limits on what is reported to a sender. Mistakes quote names and values, a list can have one in each element, and all of
// it has to fit into a result.
const (
	maxMistakes = 50
	maxMistake  = 300 // bytes of a pointer, and of a message
)

// invalid sorts mistakes and makes an error of them, nil if there are none.
func invalid(mistakes []events.FieldError) error {
	if len(mistakes) == 0 {
		return nil
	}
	for i, m := range mistakes {
		mistakes[i] = events.FieldError{Pointer: cut(m.Pointer), Message: cut(m.Message)}
	}
	slices.SortFunc(mistakes, func(a, b events.FieldError) int {
		return cmp.Or(strings.Compare(a.Pointer, b.Pointer), strings.Compare(a.Message, b.Message))
	})
	mistakes = slices.Compact(mistakes)
	if more := len(mistakes) - maxMistakes; more > 0 {
		mistakes = append(mistakes[:maxMistakes:maxMistakes], events.FieldError{Message: fmt.Sprintf("there %s %s", plural.Choose(more, "is", "are"), plural.Of(more, "more mistake"))})
	}
	return &InvalidError{mistakes}
}

func cut(s string) string {
	if len(s) <= maxMistake {
		return s
	}
	return strings.ToValidUTF8(s[:maxMistake], "") + "…"
}

var english = message.NewPrinter(language.English)

// leaves collects the causes that have no causes themselves: those name a value, the others only a schema.
func leaves(e *jsonschema.ValidationError, into []events.FieldError) []events.FieldError {
	if _, choice := e.ErrorKind.(*kind.OneOf); choice && slices.Equal(e.InstanceLocation, []string{"file"}) {
		// The library's causes describe the alternatives, not the choice between them.
		return append(into, events.FieldError{Pointer: "/file", Message: "want exactly one of the properties data and object"})
	}
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			into = leaves(cause, into)
		}
		return into
	}
	pointer := pointerTo(e.InstanceLocation)
	if missing, ok := e.ErrorKind.(*kind.Required); ok {
		for _, name := range missing.Missing {
			into = append(into, events.FieldError{Pointer: pointer, Message: fmt.Sprintf("property %q is missing and required", name)})
		}
		return into
	}
	return append(into, events.FieldError{Pointer: pointer, Message: e.ErrorKind.LocalizedString(english)})
}

// pointerTo is the JSON pointer of a place, up to the length that is reported.
func pointerTo(tokens []string) string {
	var out strings.Builder
	for _, token := range tokens {
		if out.Len() > maxMistake {
			break
		}
		out.WriteString("/" + pointerToken(token))
	}
	return out.String()
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func pointerToken(s string) string { return pointerEscapes.Replace(s) }
