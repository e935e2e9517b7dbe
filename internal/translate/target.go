package translate

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// target makes the path of an operation.
//
// Permissions are given by operation, so no value may lead to another operation. Escaping alone does not ensure that: some
// proxies undo escapes, once or twice, before they match the path; some cut it at "?", "#" or NUL, drop what follows ";" in
// a segment, or treat a backslash as a slash; and some routers ignore case. So a value may only contain characters that
// mean the same to all of them.
type target struct {
	op     factro.Operation
	values []pathValue
}

type pathValue struct {
	param  factro.Param
	value  string
	isText bool // otherwise it is a number, or the schema has refused it
}

func (t *target) put(p factro.Param, value string, isText bool) {
	t.values = append(t.values, pathValue{p, value, isText})
}

// path returns the escaped path and the values that no path may contain.
func (t *target) path() (escaped string, wrong []events.FieldError) {
	plain, escaped := t.op.Path, t.op.Path
	for _, v := range t.values {
		if why := noSegment(v.value); why != "" && v.isText {
			wrong = append(wrong, events.FieldError{Pointer: "/" + v.param.Field, Message: why})
		}
		plain = strings.Replace(plain, "{"+v.param.Name+"}", v.value, 1)
		escaped = strings.Replace(escaped, "{"+v.param.Name+"}", url.PathEscape(v.value), 1)
	}
	if len(wrong) == 0 {
		wrong = t.elsewhere(plain)
	}
	return escaped, wrong
}

// elsewhere refuses values that, as in /tasks/tags for /tasks/{taskId}, form the path of another operation.
func (t *target) elsewhere(plain string) (wrong []events.FieldError) {
	other, ok := factro.RouteLike(t.op.Method, plain)
	if !ok || other.Path == t.op.Path {
		return nil
	}
	theirs := strings.Split(other.Path, "/")
	for i, own := range strings.Split(t.op.Path, "/") {
		at := slices.IndexFunc(t.values, func(v pathValue) bool { return own == "{"+v.param.Name+"}" })
		if at < 0 || strings.HasPrefix(theirs[i], "{") {
			continue
		}
		wrong = append(wrong, events.FieldError{
			Pointer: "/" + t.values[at].param.Field,
			Message: fmt.Sprintf("%q would lead to the operation %s, want an id", t.values[at].value, other.Name),
		})
	}
	return wrong
}

const (
	// maxSegment limits a path parameter, in bytes. Ids are UUIDs by factro's description.
	maxSegment = 1024
	// segmentMarks are the characters that a segment may have besides letters and digits: those of ids and times.
	segmentMarks = "-._~:+@,="
)

// noSegment returns why a value cannot be one segment of a path, or "".
func noSegment(value string) string {
	switch {
	case value == "": // the schema has reported it
		return ""
	case len(value) > maxSegment:
		return fmt.Sprintf("an id of %d bytes, want at most %d", len(value), maxSegment)
	case strings.Trim(value, ".") == "" || strings.ContainsAny(value, `/\`):
		return fmt.Sprintf("%q is a path, want an id", value)
	}
	for _, c := range value {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(segmentMarks, c) {
			return fmt.Sprintf("%q is not an id because of the character %q; want letters, digits and %s", value, c, segmentMarks)
		}
	}
	return ""
}
