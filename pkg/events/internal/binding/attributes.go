package binding

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

const specVersion = event.CloudEventsVersionV1

// attribute is an attribute of an event in its canonical string form.
type attribute struct {
	name, value string
	// literal is true for booleans and integers, which JSON writes without quotes.
	literal bool
}

// usual is a number of attributes that most events stay below; the room for them need not be allocated.
const usual = 16

// prepare checks an event and appends its attributes to attrs: first those of CloudEvents, then the extensions in no
// order.
func prepare(e event.Event, attrs []attribute) (event.Event, []attribute, error) {
	if old, ok := e.Context.(*event.EventContextV03); ok {
		if old.DataContentEncoding != nil {
			return e, nil, errors.New("attribute datacontentencoding is set, which CloudEvents 1.0 does not have")
		}
		e.Context = old.AsV1()
	}
	if err := Validate(e); err != nil {
		return e, nil, err
	}
	c, ok := e.Context.(*event.EventContextV1)
	if !ok {
		return e, nil, fmt.Errorf("the context is a %T, want *event.EventContextV1", e.Context)
	}
	attrs = append(attrs,
		attribute{name: "specversion", value: specVersion},
		attribute{name: "id", value: c.ID},
		attribute{name: "source", value: c.Source.String()},
		attribute{name: "type", value: c.Type})
	if c.DataContentType != nil {
		attrs = append(attrs, attribute{name: "datacontenttype", value: *c.DataContentType})
	}
	if c.DataSchema != nil {
		attrs = append(attrs, attribute{name: "dataschema", value: c.DataSchema.String()})
	}
	if c.Subject != nil {
		attrs = append(attrs, attribute{name: "subject", value: *c.Subject})
	}
	var bad Problems
	if c.Time != nil {
		text, ok := FormatTime(c.Time.Time)
		if !ok {
			bad.Addf("attribute time is in the year %d, want 0 to 9999", c.Time.UTC().Year())
		}
		attrs = append(attrs, attribute{name: "time", value: text})
	}
	for name, value := range c.Extensions {
		if why := badExtensionName(name); why != "" {
			bad.Addf("attribute %s: %s", Printable(name), why)
			continue
		}
		a, why := extension(name, value)
		if why != "" {
			bad.Addf("attribute %s %s", Printable(name), why)
			continue
		}
		attrs = append(attrs, a)
	}
	for _, a := range attrs {
		if !utf8.ValidString(a.value) {
			bad.Addf("attribute %s is not UTF-8", Printable(a.name))
		}
	}
	return e, attrs, bad.Err()
}

// extension brings the value of an extension into its canonical form, or says what is wrong with it.
func extension(name string, value any) (a attribute, why string) {
	switch v := value.(type) {
	case string:
		return attribute{name: name, value: v}, ""
	case bool:
		return attribute{name: name, value: strconv.FormatBool(v), literal: true}, ""
	case int32:
		return attribute{name: name, value: strconv.Itoa(int(v)), literal: true}, ""
	case []byte:
		return attribute{name: name, value: base64.StdEncoding.EncodeToString(v)}, ""
	case types.URI:
		return attribute{name: name, value: v.String()}, ""
	case types.URIRef:
		return attribute{name: name, value: v.String()}, ""
	case types.Timestamp:
		text, ok := FormatTime(v.Time)
		if !ok {
			return attribute{}, fmt.Sprintf("is in the year %d, want 0 to 9999", v.UTC().Year())
		}
		return attribute{name: name, value: text}, ""
	case nil, float32, float64: // the SDK would cut the fraction off
		return attribute{}, fmt.Sprintf("is a %T, which is no type of CloudEvents", v)
	}
	// Other integers, pointers and times, if somebody filled the map by hand. What comes back is one of the types above.
	v, err := types.Validate(value)
	if err != nil || v == nil {
		return attribute{}, fmt.Sprintf("is a %T, which is no type of CloudEvents or beyond 32 bits", value)
	}
	return extension(name, v)
}

// badExtensionName says why an extension cannot have this name, or "". It asks for what CloudEvents demands; what it
// only recommends, to begin with a letter and not to exceed 20 characters, is not ours to enforce on events that we
// pass on.
func badExtensionName(name string) string {
	switch {
	case name == "":
		return "the name is empty"
	case name == "data":
		return "the name is reserved for the data of the event"
	case isCore(name):
		return "the name is that of an attribute of CloudEvents, not of an extension"
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return "the name has a character other than a-z and 0-9"
		}
	}
	return ""
}

// isCore reports whether a name is that of an attribute which CloudEvents itself defines.
func isCore(name string) bool {
	switch name {
	case "specversion", "id", "source", "type", "datacontenttype", "dataschema", "subject", "time":
		return true
	}
	return false
}

// Validate is [event.Event.Validate] with an error that is one sentence and always the same one.
func Validate(e event.Event) error {
	if c, ok := e.Context.(*event.EventContextV1); ok && len(e.FieldErrors) == 0 && isUsual(c) {
		return nil
	}
	err := e.Validate()
	if err == nil {
		return nil
	}
	var bad Problems
	if fields, ok := errors.AsType[event.ValidationError](err); ok {
		for name, err := range fields {
			bad.Addf("attribute %s: %v", Printable(name), err)
		}
		return bad.Err()
	}
	return err
}

// isUsual says whether attributes are valid for sure, without the SDK's way of finding out.
func isUsual(c *event.EventContextV1) bool {
	return !isBlank(c.ID) && !isBlank(c.Type) && c.Source.Scheme != "" && (c.Subject == nil || !isBlank(*c.Subject)) &&
		(c.DataContentType == nil || *c.DataContentType == event.ApplicationJSON) && (c.DataSchema == nil || c.DataSchema.Validate())
}

func isBlank(s string) bool { return strings.TrimSpace(s) == "" }

// parseURI reads a URI reference, or says what is wrong with it. It does not quote the URI, which may hold a password.
func parseURI(s string) (u url.URL, why string) {
	if s == "" {
		return url.URL{}, "is empty, want a URI"
	}
	parsed, err := url.Parse(s)
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err
		}
		reason := err.Error()
		return url.URL{}, "is no URI: " + reason[:min(len(reason), MaxQuoted)]
	}
	return *parsed, ""
}
