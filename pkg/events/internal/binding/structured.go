package binding

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// structuredPayload writes an event in the JSON format, its attributes in the order of their names but for those of
// CloudEvents, which come first.
func structuredPayload(e event.Event, attrs []attribute) []byte {
	extensions := len(e.Extensions())
	slices.SortFunc(attrs[len(attrs)-extensions:], func(a, b attribute) int { return strings.Compare(a.name, b.name) })

	b := make([]byte, 0, 48*len(attrs)+len(e.DataEncoded)*4/3+16)
	for i, a := range attrs {
		b = append(b, "{,"[min(i, 1)], '"')
		b = append(b, a.name...) // a name has nothing to escape
		b = append(b, `":`...)
		if a.literal {
			b = append(b, a.value...)
		} else {
			b = appendString(b, a.value)
		}
	}
	return append(appendData(b, e), '}')
}

// appendData writes the data in the form that gives it back best: JSON as it is, text as a string, else base64.
func appendData(b []byte, e event.Event) []byte {
	data, contentType := e.DataEncoded, e.DataContentType()
	// Data in base64 without a content type is bytes of which nobody claimed that they are JSON.
	asJSON := IsJSON(contentType) && (!e.DataBase64 || contentType != "")
	if asJSON { // older bridges kept the mark that some senders put before JSON, where it does not belong
		data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	}
	switch {
	case len(data) == 0:
		return b
	case asJSON && utf8.Valid(data) && json.Valid(data):
		return append(append(b, `,"data":`...), data...)
	case !IsJSON(contentType) && !e.DataBase64 && utf8.Valid(data):
		return appendString(append(b, `,"data":`...), string(data))
	}
	b = base64.StdEncoding.AppendEncode(append(b, `,"data_base64":"`...), data)
	return append(b, '"')
}

// appendString appends s, which is UTF-8, as a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(err) // a string always has a JSON form
			}
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// readStructured takes the attributes and the data from the payload. If it is not sure that the payload is an event,
// it returns false, and takes nothing, unless the payload is an object that has a specversion.
func (b *builder) readStructured(payload []byte, sure bool) bool {
	if !sure && !bytes.Contains(payload, []byte("specversion")) {
		return false
	}
	ms, why := members(payload)
	if !sure && !slices.ContainsFunc(ms, func(m member) bool { return m.name == "specversion" }) {
		return false
	}
	b.prefix = "attribute "
	if why != "" {
		b.Addf("payload %s", why)
		return true
	}
	var data, encoded []byte
	slices.SortStableFunc(ms, func(a, b member) int { return strings.Compare(a.name, b.name) })
	for i, m := range ms {
		same := func(j int) bool { return j >= 0 && j < len(ms) && ms[j].name == m.name }
		switch {
		case same(i-1) || same(i+1):
			b.saw(m.name)
			b.Addf("%s is given more than once", b.where(m.name))
		case m.name == "data":
			data = m.value
		case m.name == "data_base64":
			encoded = m.value
		case Shape(m.value) != "null": // null is as good as absent
			b.saw(m.name)
			b.setJSON(m.name, m.value)
		}
	}
	b.setData(data, encoded)
	b.require()
	return true
}

// setJSON takes an attribute that came as JSON. Those of CloudEvents are strings; an extension may also be a boolean or
// a whole number of 32 bits.
func (b *builder) setJSON(name string, raw []byte) {
	switch s := Shape(raw); {
	case s == "a string" && !jsontext.Valid(string(raw)):
		b.Addf("%s is no valid text: it has half of a surrogate pair", b.where(name)) // two of them would be one U+FFFD
	case s == "a string":
		b.set(name, text(raw))
	case isCore(name):
		b.Addf("%s is %s, want a string", b.where(name), s)
	case s == "a boolean":
		b.extend(name, raw[0] == 't')
	case s == "a number":
		n, err := strconv.ParseInt(string(raw), 10, 32)
		if err != nil {
			b.Addf("%s is the number %.80s, want a whole one of 32 bits", b.where(name), raw)
			return
		}
		b.extend(name, int32(n))
	default:
		b.Addf("%s is %s, want a string, a boolean or a whole number", b.where(name), s)
	}
}

// setData takes the data from the member data, or from data_base64. Data of a content type other than JSON is text,
// and comes as a string.
func (b *builder) setData(data, encoded []byte) {
	contentType := b.event().DataContentType()
	if encoded != nil && Shape(encoded) == "null" {
		encoded = nil
	}
	switch {
	case encoded != nil && data != nil:
		b.Addf("data and data_base64 are both there, want one of them")
	case encoded != nil:
		if Shape(encoded) != "a string" {
			b.Addf("data_base64 is %s, want a string", Shape(encoded))
			return
		}
		raw, err := base64.StdEncoding.DecodeString(text(encoded))
		if err != nil {
			b.Addf("data_base64 is no base64: %v", err)
			return
		}
		b.base64 = true
		if len(raw) > 0 {
			b.data = raw
		}
	case data != nil && IsJSON(contentType):
		b.data = data
	case data != nil && Shape(data) != "null":
		if Shape(data) != "a string" {
			b.Addf("data is %s, want a string, since datacontenttype is %s", Shape(data), Quote(contentType))
			return
		}
		if s := text(data); s != "" {
			b.data = []byte(s)
		}
	}
}
