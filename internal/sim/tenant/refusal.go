package tenant

import (
	"fmt"
)

// Reason is why a request is refused. It decides the status and form of the answer.
type Reason int

const (
	RefusedInvalid   Reason = iota // 400 or 422, form by variant
	RefusedForbidden               // 403, JSON with a message
	RefusedMissing                 // 404, text
	RefusedTooMany                 // 413, text
)

// RefusalError is a refusal of a request. The simulator turns it into an HTTP answer.
type RefusalError struct {
	Kind    Reason
	Message string
	Path    string // the invalid property, if there is one
	Whole   bool   // it is that of a list which takes effect as a whole
}

func (r *RefusalError) Error() string { return r.Message }

// Invalid refuses a property of a request.
func Invalid(path, format string, args ...any) error {
	return &RefusalError{Kind: RefusedInvalid, Path: path, Message: fmt.Sprintf(format, args...)}
}

func forbidden(message string) error { return &RefusalError{Kind: RefusedForbidden, Message: message} }

// notFound is factro's text for an unknown id. Only the text for tasks is known; the others are assumed to be similar.
func notFound(kind, id string) error {
	return &RefusalError{Kind: RefusedMissing, Message: fmt.Sprintf("%s with id %q not found", kinds[kind].noun, id)}
}
