package timeline

import (
	"bytes"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/bus/history"
	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/percent"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// wanted is what to look for in messages. It looks at headers as they are on the wire, since most messages are not wanted.
type wanted struct {
	ids      map[string]bool // of events and commands, percent-encoded
	entities map[string]bool // of objects, percent-encoded
	traces   map[string]bool
	raw      []string // all of them as they are
}

func (w *wanted) id(ids ...string) *wanted {
	for _, id := range ids {
		put(&w.ids, percent.Encode(id))
		w.raw = append(w.raw, id)
	}
	return w
}

func (w *wanted) entity(ids ...string) {
	for _, id := range ids {
		put(&w.entities, percent.Encode(id))
		w.raw = append(w.raw, id)
	}
}

func (w *wanted) trace(ids ...string) {
	for _, id := range ids {
		put(&w.traces, id)
		w.raw = append(w.raw, id)
	}
}

func put(set *map[string]bool, value string) {
	if *set == nil {
		*set = map[string]bool{}
	}
	(*set)[value] = true
}

const attribute = "ce-"

// event says whether an event is wanted.
func (w *wanted) event(m history.Message) bool {
	return w.ids[m.Value(attribute+"id")] || w.traced(m) || w.about(m)
}

// result says whether a result is wanted.
func (w *wanted) result(m history.Message) bool {
	return w.ids[m.Value(attribute+attr.CausationID)] || w.event(m)
}

// change says whether a change is wanted: that of an object, of a command, or of an event.
func (w *wanted) change(m history.Message) bool {
	if w.ids[m.Value(attribute+attr.Cause)] || w.traced(m) || len(w.entities) > 0 && w.entities[percent.Encode(token(m.Subject, 4))] {
		return true
	}
	if causes := m.Value(attribute + attr.CausationID); causes != "" && len(w.ids) > 0 {
		for cause := range strings.FieldsSeq(decoded(causes)) {
			if w.ids[percent.Encode(cause)] {
				return true
			}
		}
	}
	return false
}

// mentions says whether a message has one of the ids anywhere. Whoever decodes messages asks this first.
func (w *wanted) mentions(m history.Message) bool {
	for _, id := range w.raw {
		encoded := percent.Encode(id)
		for _, values := range m.Header {
			for _, value := range values {
				if strings.Contains(value, encoded) || strings.Contains(value, id) {
					return true
				}
			}
		}
		if bytes.Contains(m.Data, []byte(id)) {
			return true
		}
	}
	return false
}

// command says whether a command is wanted, in a queue or as a dead letter: by its id, by its trace, or since its data has an object.
func (w *wanted) command(m history.Message, of func(history.Message) events.Command) bool {
	if w.traced(m) || w.traces[traceIn(m.Value(topology.HeaderDeadTrace))] {
		return true
	}
	if !w.mentions(m) {
		return false
	}
	if c := of(m); c.Event.Context != nil && w.ids[percent.Encode(c.Event.ID())] {
		return true
	}
	return w.names(m)
}

// leastNamed is how long an id is at least that is looked for in a body that may be no JSON.
const leastNamed = 8

// names says whether the data of a message has one of the objects as a value. A webhook that could not become an event may be no JSON.
func (w *wanted) names(m history.Message) bool {
	webhook := token(m.Subject, 1) == "dead" && token(m.Subject, 2) == "webhook"
	for _, id := range w.raw {
		if webhook && len(id) >= leastNamed && bytes.Contains(m.Data, []byte(id)) {
			return true
		}
		if w.entities[percent.Encode(id)] && bytes.Contains(m.Data, []byte(`"`+id+`"`)) {
			return true
		}
	}
	return false
}

// about says whether the subject of an event is one of the objects.
func (w *wanted) about(m history.Message) bool {
	if len(w.entities) == 0 {
		return false
	}
	_, id, _ := strings.Cut(m.Value(attribute+"subject"), "/")
	return w.entities[id] || w.entities[m.Value(attribute+"subject")]
}

// traced says whether a message belongs to one of the traces, by its own header or that of its origin.
func (w *wanted) traced(m history.Message) bool {
	if len(w.traces) == 0 {
		return false
	}
	return w.traces[traceIn(m.Value(attr.TraceParent))] || w.traces[traceIn(m.Value("Traceparent"))] || w.traces[traceIn(m.Value(attribute+attr.TraceParent))]
}

// traceIn is the trace of a traceparent, "" if it is none.
func traceIn(parent string) string {
	const from, to = 3, 35
	if len(parent) < to || parent[2] != '-' {
		return ""
	}
	return parent[from:to]
}

// isTrace says whether an id has the form of a trace.
func isTrace(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == ""
}

func decoded(text string) string {
	if plain, err := percent.Decode(text); err == nil {
		return plain
	}
	return text
}

// token is the nth token of a subject.
func token(subject string, n int) string {
	parts := strings.SplitN(subject, ".", n+2)
	if len(parts) <= n {
		return ""
	}
	return parts[n]
}
