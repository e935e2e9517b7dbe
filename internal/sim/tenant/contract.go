package tenant

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// contract is openapi.yaml, read by an independent library. It validates requests and knows the shapes of answers. Our own table of
// operations only selects the entry in the description.
type contract struct {
	doc *openapi3.T

	mu     sync.Mutex
	shapes map[string]*shape
}

// parsedContract is the description, parsed once for the whole process. That takes a fraction of a second and a few megabytes, so it
// happens at the first request.
var parsedContract = sync.OnceValues(loadContract)

func loadContract() (*contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(factro.OpenAPI)
	if err != nil {
		return nil, fmt.Errorf("load openapi.yaml: %w", err)
	}
	return &contract{doc: doc, shapes: map[string]*shape{}}, nil
}

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// IsUUID accepts every uuid in its usual form, with any version: not all of factro's examples conform to RFC 9562.
func IsUUID(s string) bool { return uuidForm.MatchString(s) }

// formats are the formats of the description that the library does not validate itself.
var formats = openapi3.WithStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(uuidForm.String()))

func (c *contract) filterOptions() *openapi3filter.Options {
	return &openapi3filter.Options{
		// serveCore has checked the key, with factro's own answer.
		AuthenticationFunc:                openapi3filter.NoopAuthenticationFunc,
		RejectWhenRequestBodyNotSpecified: true,
		SkipSettingDefaults:               true,
		IncludeResponseStatus:             true,
		SchemaValidationOptions:           []openapi3.SchemaValidationOption{formats},
	}
}

// route is the library's route of the operation.
func (c *contract) route(op factro.Operation) (*routers.Route, error) {
	item := c.doc.Paths.Value(op.Path)
	if item == nil {
		return nil, fmt.Errorf("openapi.yaml has no path %s", op.Path)
	}
	found := item.GetOperation(op.Method)
	if found == nil || found.OperationID != op.Name {
		return nil, fmt.Errorf("openapi.yaml has no operation %s at %s %s", op.Name, op.Method, op.Path)
	}
	return &routers.Route{Spec: c.doc, Path: op.Path, PathItem: item, Method: op.Method, Operation: found}, nil
}

// checkRequest reports how a request breaks the description, as a *RefusalError.
func (c *contract) checkRequest(r *http.Request, op factro.Operation, params map[string]string, body []byte) error {
	route, err := c.route(op)
	if err != nil {
		return err
	}
	held := r.Clone(r.Context())
	held.Body, held.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	err = openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: held, PathParams: params, Route: route, Options: c.filterOptions(),
	})
	if err != nil {
		path, message := explain(err)
		return &RefusalError{Kind: RefusedInvalid, Message: message, Path: path}
	}
	return nil
}

// explain extracts the path and the reason from the library's error, which otherwise repeats the schema and the value.
func explain(err error) (path, message string) {
	message = err.Error()
	if schema, ok := errors.AsType[*openapi3.SchemaError](err); ok {
		path = strings.Join(schema.JSONPointer(), "/")
		if inner := innermost(schema); inner != nil {
			path, message = strings.Join(inner.JSONPointer(), "/"), inner.Reason
		}
	}
	var request *openapi3filter.RequestError
	if errors.As(err, &request) && request.Parameter != nil {
		path = request.Parameter.Name
	}
	message, _, _ = strings.Cut(message, "\n")
	if path != "" && !strings.Contains(message, path) {
		message = path + ": " + message
	}
	return path, message
}

// innermost is the error at the end of a chain of allOf and anyOf.
func innermost(err *openapi3.SchemaError) *openapi3.SchemaError {
	for {
		var next *openapi3.SchemaError
		if err.Origin == nil || !errors.As(err.Origin, &next) {
			return err
		}
		err = next
	}
}

// shape is what the simulator needs from a component schema to build objects.
type shape struct {
	nullable []string // properties that may be null; a new object starts with null
	required []string
	instants []string // properties of format date-time
	known    map[string]bool
}

func (c *contract) shape(name string) *shape {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.shapes[name]; ok {
		return s
	}
	s := &shape{known: map[string]bool{}}
	if ref := c.doc.Components.Schemas[name]; ref != nil {
		s.add(ref.Value)
	}
	slices.Sort(s.nullable)
	c.shapes[name] = s
	return s
}

// add adds the properties of a schema and of its parts.
func (s *shape) add(schema *openapi3.Schema) {
	for property, p := range schema.Properties {
		s.known[property] = true
		if acceptsNull(p.Value) {
			s.nullable = append(s.nullable, property)
		}
		if p.Value.Format == "date-time" {
			s.instants = append(s.instants, property)
		}
	}
	s.required = append(s.required, schema.Required...)
	for _, part := range schema.AllOf {
		s.add(part.Value)
	}
}

func acceptsNull(s *openapi3.Schema) bool {
	return s.Type.Includes("null") || slices.ContainsFunc(s.AnyOf, func(r *openapi3.SchemaRef) bool { return acceptsNull(r.Value) })
}

// sample is a value that fits a schema: required properties only, the first value of an enum, empty lists. It is the answer of
// operations without state in the simulator.
func sample(s *openapi3.Schema, id func() string) any {
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.AllOf) > 0:
		merged := map[string]any{}
		for _, part := range s.AllOf {
			value, isObject := sample(part.Value, id).(map[string]any)
			if !isObject {
				return sample(part.Value, id)
			}
			maps.Copy(merged, value)
		}
		return merged
	case len(s.AnyOf) > 0:
		return sample(s.AnyOf[0].Value, id)
	case s.Type.Includes("null"):
		return nil
	case s.Type.Includes("array"):
		return []any{}
	case s.Type.Includes("object"):
		object := map[string]any{}
		for _, name := range s.Required {
			object[name] = sample(s.Properties[name].Value, id)
		}
		return object
	case s.Type.Includes("boolean"):
		return false
	case s.Type.Includes("integer"), s.Type.Includes("number"):
		return json.Number("0")
	}
	switch s.Format {
	case "uuid":
		return id()
	case "date":
		return "2026-09-01"
	case "date-time":
		return "2026-09-01T00:00:00.000Z"
	}
	return "sample"
}
