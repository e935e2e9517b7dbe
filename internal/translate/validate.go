package translate

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// compiled holds the schemas that were needed so far, by operation. Compiling all 155 at start would cost memory that
// most bridges never use.
var compiled sync.Map // string -> *jsonschema.Schema

var components = sync.OnceValues(func() (any, error) {
	return jsonschema.UnmarshalJSON(bytes.NewReader(factro.Schemas))
})

func schemaOf(op factro.Operation) (*jsonschema.Schema, error) {
	if s, ok := compiled.Load(op.Name); ok {
		return s.(*jsonschema.Schema), nil
	}
	defs, err := components()
	if err != nil {
		return nil, fmt.Errorf("schemas of the Core API: %w", err)
	}
	// Through JSON, since the compiler wants the types that its own decoder makes.
	text, err := op.DataSchemaJSON()
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", op.Name, err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", op.Name, err)
	}
	c := jsonschema.NewCompiler()
	id := "urn:factro:command:" + op.Name
	for url, resource := range map[string]any{factro.SchemasID: defs, id: doc} {
		if err := c.AddResource(url, resource); err != nil {
			return nil, fmt.Errorf("schema of %s: %w", op.Name, err)
		}
	}
	s, err := c.Compile(id)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", op.Name, err)
	}
	compiled.Store(op.Name, s)
	return s, nil
}

// check holds the data of a command against its schema and returns every mistake. Formats are not checked: which dates
// and ids factro takes is known from examples only, and it says no itself.
func check(op factro.Operation, data []byte) ([]events.FieldError, error) {
	schema, err := schemaOf(op)
	if err != nil {
		return nil, err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return []events.FieldError{{Message: "not JSON: " + err.Error()}}, nil
	}
	err = schema.Validate(value)
	if err == nil {
		return nil, nil
	}
	failure, ok := err.(*jsonschema.ValidationError) //nolint:errorlint // the library returns exactly this
	if !ok {
		return nil, fmt.Errorf("validate: %w", err)
	}
	return leaves(failure, nil), nil
}

// Limits on what a sender is told. Mistakes quote names and values, a list can have one in each element, and all of it
// has to fit into a result.
const (
	maxMistakes = 50
	maxMistake  = 300 // bytes of a pointer, and of a message
)

// invalid brings mistakes into order and makes an error of them, nil if there are none.
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
		mistakes = append(mistakes[:maxMistakes:maxMistakes], events.FieldError{Message: fmt.Sprintf("there are %d more mistakes", more)})
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

// leaves collects the causes that have no causes of their own: those name a value, the others only a schema.
func leaves(e *jsonschema.ValidationError, into []events.FieldError) []events.FieldError {
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			into = leaves(cause, into)
		}
		return into
	}
	pointer := ""
	for _, token := range e.InstanceLocation {
		pointer += "/" + pointerToken(token)
	}
	if missing, ok := e.ErrorKind.(*kind.Required); ok {
		for _, name := range missing.Missing {
			into = append(into, events.FieldError{Pointer: pointer, Message: fmt.Sprintf("property %q is missing and required", name)})
		}
		return into
	}
	return append(into, events.FieldError{Pointer: pointer, Message: e.ErrorKind.LocalizedString(english)})
}

func pointerToken(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }
