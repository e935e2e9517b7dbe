package binding

import (
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// builder makes an event of the attributes of a message and notes what is wrong with them. It writes into the context
// without the event's setters, which trim, and which keep their errors for later.
type builder struct {
	context event.EventContextV1
	data    []byte
	base64  bool
	// present tells which required attributes came, be it with a wrong value.
	present [len(required)]bool
	// prefix stands before the name of an attribute in errors, such as "header ce-".
	prefix string
	Problems
}

// required are the attributes that every event has.
var required = [...]string{"specversion", "id", "source", "type"}

// where names an attribute in errors.
func (b *builder) where(name string) string { return b.prefix + Printable(name) }

// set takes an attribute that came as text.
func (b *builder) set(name, value string) {
	c := &b.context
	switch name {
	case "specversion":
		if value != specVersion {
			b.Addf("%s is %s, want %q", b.where(name), Quote(value), specVersion)
		}
	case "id":
		c.ID = value
	case "type":
		c.Type = value
	case "subject":
		s := value // the address of value itself would cost every attribute an allocation
		c.Subject = &s
	case "datacontenttype":
		s := value
		c.DataContentType = &s
	case "source":
		u, why := parseURI(value)
		if why != "" {
			b.Addf("%s %s", b.where(name), why)
		}
		c.Source.URL = u
	case "dataschema":
		u, why := parseURI(value)
		if why != "" {
			b.Addf("%s %s", b.where(name), why)
			return
		}
		c.DataSchema = &types.URI{URL: u}
	case "time":
		t, ok := ParseTime(value)
		if !ok {
			b.Addf("%s is %s, want RFC 3339 such as 2026-01-31T09:30:00Z", b.where(name), Quote(value))
			return
		}
		c.Time = &types.Timestamp{Time: t}
	default:
		b.extend(name, value)
	}
}

// extend takes an extension: a string, a bool or an int32.
func (b *builder) extend(name string, value any) {
	if why := badExtensionName(name); why != "" {
		b.Addf("%s: %s", b.where(name), why)
		return
	}
	if b.context.Extensions == nil {
		b.context.Extensions = make(map[string]any)
	}
	b.context.Extensions[name] = value
}

// saw notes that an attribute came.
func (b *builder) saw(name string) {
	for i, r := range required {
		if name == r {
			b.present[i] = true
		}
	}
}

// require notes the attributes that every event has and that did not come.
func (b *builder) require() {
	for i, name := range required {
		if !b.present[i] {
			b.Addf("%s is missing", b.where(name))
		}
	}
}

func (b *builder) event() event.Event {
	return event.Event{Context: &b.context, DataEncoded: b.data, DataBase64: b.base64}
}

// check returns what is wrong with the event, if anything.
func (b *builder) check() error {
	if err := b.Err(); err != nil {
		return err
	}
	return Validate(b.event())
}
