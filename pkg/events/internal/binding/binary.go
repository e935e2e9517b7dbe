package binding

import (
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// AttributePrefix begins the names of the headers that hold attributes.
const AttributePrefix = "ce-"

// headerNames saves building the names of the headers that nearly every event has.
var headerNames = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{
		"specversion", "id", "source", "type", "datacontenttype", "dataschema", "subject", "time",
		attr.TraceParent, attr.TraceState, attr.RecordedTime, attr.Action, attr.Cloud, attr.Origin, attr.ExpiryTime, attr.CorrelationID,
		attr.CausationID, attr.CausationSource, attr.CausationPosition, attr.PartitionKey, attr.Priority, attr.DryRun, attr.NotBefore,
	} {
		names[name] = AttributePrefix + name
	}
	return names
}()

// binaryHeader writes attributes as headers. All values lie in one array, so that a header costs no allocation of its
// own; the capacity of each is its length, so that an append to one does not overwrite the next.
func binaryHeader(attrs []attribute) nats.Header {
	h := make(nats.Header, len(attrs)+2) // two more: the publisher adds a message id and a trace
	values := make([]string, len(attrs))
	for i, a := range attrs {
		name, ok := headerNames[a.name]
		if !ok {
			name = AttributePrefix + a.name
		}
		values[i] = percent.Encode(a.value)
		h[name] = values[i : i+1 : i+1]
	}
	return h
}

// hasAttributes reports whether any header holds an attribute.
func hasAttributes(header nats.Header) bool {
	for k := range header {
		if isAttribute(k) {
			return true
		}
	}
	return false
}

func isAttribute(header string) bool {
	return len(header) >= len(AttributePrefix) && strings.EqualFold(header[:len(AttributePrefix)], AttributePrefix)
}

// readBinary takes the attributes from the headers and the data from the payload.
func (b *builder) readBinary(header nats.Header, data []byte) {
	b.prefix = "header " + AttributePrefix
	if len(data) > 0 {
		b.data = data
	}
	for k, values := range foldAttributes(header) {
		if !isAttribute(k) {
			continue
		}
		name := k[len(AttributePrefix):]
		b.saw(name)
		if len(values) != 1 {
			b.Addf("%s is given %d times, want once", b.where(name), len(values))
			continue
		}
		value, err := percent.Decode(values[0])
		if err != nil {
			b.Addf("%s %v", b.where(name), err)
			continue
		}
		b.set(name, value)
	}
	b.require()
}

// foldAttributes returns headers in which the names of attributes are in lower case; names that then are the same share
// their values. It returns the headers themselves if there is nothing to do, as with those that we wrote.
func foldAttributes(header nats.Header) nats.Header {
	mixed := false
	for k := range header {
		mixed = mixed || isAttribute(k) && k != strings.ToLower(k)
	}
	if !mixed {
		return header
	}
	folded := make(nats.Header, len(header))
	for k, values := range header {
		if isAttribute(k) {
			k = strings.ToLower(k)
			folded[k] = append(folded[k], values...)
		}
	}
	return folded
}
