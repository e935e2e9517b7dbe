package translate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Call is a request to the Core API.
type Call struct {
	Method string
	// Target is the escaped path with the query, relative to the API's base URL.
	Target string
	// Body is nil if the operation has none, or has an Upload; ContentType then is empty.
	Body        []byte
	ContentType string
	// Upload is the file that is sent as the body; nil for most operations.
	Upload *Upload
	// EntityID is the id in the path of the object of the operation's resource, or "".
	EntityID string
}

// InvalidError lists the mistakes in a command's data, up to a limit.
type InvalidError struct{ Fields []events.FieldError }

func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Message
		if f.Pointer != "" {
			parts[i] = f.Pointer + ": " + f.Message
		}
	}
	return "the data is invalid: " + strings.Join(parts, "; ")
}

// Command translates the data of a command into a call. Values are sent as written: null stays null, absent stays absent, a
// number keeps its digits, and properties that the schema does not know go into the body.
func Command(op factro.Operation, data []byte) (Call, error) {
	mistakes, err := check(op, data)
	if err != nil {
		return Call{}, err
	}
	fields, err := jsontext.Object(data)
	if err != nil {
		return Call{}, cmp.Or(invalid(mistakes), fmt.Errorf("the data is %w", err))
	}
	sound := len(mistakes) == 0 // the rest is what a schema cannot express; it runs too, so that one answer names all mistakes
	call := Call{Method: op.Method}
	path, query := &target{op: op}, url.Values{}
	for _, p := range op.Params {
		raw, given := fields[p.Field]
		delete(fields, p.Field)
		value, isText := jsontext.String(string(raw))
		if !isText {
			value = string(raw)
		}
		if p.Query {
			if given {
				query.Set(p.Name, value)
			}
			continue
		}
		if p.Name == entityParam(op.Resource) {
			call.EntityID = value
		}
		path.put(p, value, isText)
	}
	escaped, wrong := path.path()
	mistakes = append(mistakes, wrong...)
	switch op.Body {
	case factro.BodyObject:
		call.Body, err = jsontext.Encode(fields)
		call.ContentType = "application/json"
	case factro.BodyList:
		call.Body, call.ContentType = fields["items"], "application/json"
		delete(fields, "items")
		mistakes = append(mistakes, homeless(op, fields)...)
	case factro.BodyMultipart:
		var wrong []events.FieldError
		if sound {
			call.Upload, wrong = upload(op, fields["file"])
		}
		delete(fields, "file")
		mistakes = slices.Concat(mistakes, wrong, homeless(op, fields))
	case factro.BodyNone:
		mistakes = append(mistakes, homeless(op, fields)...)
	}
	if err != nil {
		return Call{}, err
	}
	if err := invalid(mistakes); err != nil {
		return Call{}, err
	}
	call.Target = escaped
	if len(query) > 0 {
		call.Target += "?" + query.Encode()
	}
	return call, nil
}

// entityParam is the path parameter that names an object of the resource: workRecordId for work-record.
func entityParam(resource string) string {
	words := strings.Split(resource, "-")
	for i, w := range words[1:] {
		words[i+1] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "") + "Id"
}

// homeless reports properties that the request has no place for. Dropping them silently would mislead the sender.
func homeless(op factro.Operation, fields map[string]json.RawMessage) []events.FieldError {
	var mistakes []events.FieldError
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		mistakes = append(mistakes, events.FieldError{
			Pointer: "/" + pointerToken(name),
			Message: fmt.Sprintf("%s has no place for this property in its request", op.Name),
		})
	}
	return mistakes
}

// Dated puts a time of creation into the body of a call whose operation accepts one, unless the sender has done so.
func Dated(op factro.Operation, call Call, at time.Time) (Call, error) {
	if op.Search == nil || op.Search.Sets == "" || op.Body != factro.BodyObject {
		return call, nil
	}
	fields, err := jsontext.Object(call.Body)
	if err != nil {
		return call, fmt.Errorf("date of creation: %w", err)
	}
	if _, sent := fields[op.Search.Sets]; sent {
		return call, nil
	}
	fields[op.Search.Sets] = json.RawMessage(strconv.Quote(at.UTC().Format("2006-01-02T15:04:05.000Z")))
	call.Body, err = jsontext.Encode(fields)
	return call, err
}
