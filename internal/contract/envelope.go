package contract

import (
	"maps"
	"strings"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// kind is one of the three events of the contract.
type kind int

const (
	anEvent kind = iota
	aCommand
	aResult
	kinds
)

// attribute is an attribute of CloudEvents, as it is used here.
type attribute struct {
	name string
	// rules is the schema of its value, which in a header is text.
	rules map[string]any
	// use says for each kind what the attribute is there, "" if it has none.
	use [kinds]string
	// required says for which kinds it is always there.
	required [kinds]bool
}

var always = [kinds]bool{true, true, true}

// envelope are the attributes of all kinds, in the order of the documents.
var envelope = []attribute{
	{
		name: "specversion", required: always, rules: map[string]any{"const": "1.0"},
		use: [kinds]string{"`1.0`", "`1.0`", "`1.0`"},
	},
	{
		name: "id", required: always, rules: map[string]any{"minLength": 1},
		use: [kinds]string{"the body's `id` where there is one, else minted; a UUID made of the `id` if that has more than 256 bytes or is no valid text; with a digest of the body behind it if another body had the id before", "the sender's, best a UUID; by source and id a command of a cloud is recognised for 7 days", "`<command id>.<outcome>`, then a suffix where results of one id are no repetitions of each other (a dry run, a `deferred` result, a message that was rejected before anything was called, a command that was sent once more), and 16 hex digits of a digest of the command's source, if it has one"},
	},
	{
		name: "source", required: always, rules: map[string]any{"format": "uri-reference", "minLength": 1},
		use: [kinds]string{"`urn:factro:cloud:<cloud>`, configurable", "the sender's, each program its own; at most 512 bytes", "`urn:factro:bridge:<cloud>`"},
	},
	{
		name: "type", required: always, rules: map[string]any{"minLength": 1},
		use: [kinds]string{
			"`" + events.EventTypePrefix + "<Action>`", "`" + events.CommandTypePrefix + "<operation>`",
			"`" + events.ResultTypePrefix + "<outcome>`",
		},
	},
	{
		name: "subject",
		use:  [kinds]string{"`<resource>/<id>`", "optional", "`<resource>/<id>` once known"},
	},
	{
		name: "time", rules: map[string]any{"format": "date-time"}, required: [kinds]bool{true, false, true},
		use: [kinds]string{"the body's `createdAt` where there is one, else receipt", "optional", "when it was decided"},
	},
	{
		name: "datacontenttype", required: [kinds]bool{true, false, true},
		use: [kinds]string{"`application/json`", "`application/json`, or absent", "`application/json`"},
	},
	{
		name: "dataschema", rules: map[string]any{"format": "uri"},
		use: [kinds]string{"of an event about a gap `" + events.SchemaURI("gap") + "`, else none", "optional, not looked at", "`" + events.SchemaURI("result.<operation>") + "`, without the operation where it is unknown; of a dry run `" + events.SchemaURI(dryRunName) + "`"},
	},
	{
		name: events.ExtTraceParent,
		use: [kinds]string{
			"the trace in which the event began", "the sender's trace, which is continued", "the command's trace",
		},
	},
	{
		name: events.ExtRecordedTime, rules: map[string]any{"format": "date-time"}, required: [kinds]bool{true, false, false},
		use: [kinds]string{"when the bridge received it", "", ""},
	},
	{
		name: events.ExtAction, required: [kinds]bool{true, false, false},
		use: [kinds]string{"the action, as factro wrote it", "", ""},
	},
	{
		name: events.ExtCloud, required: [kinds]bool{true, false, true},
		use: [kinds]string{"the cloud's name", "", "the cloud's name"},
	},
	{
		name: events.ExtOrigin, required: [kinds]bool{true, false, false},
		use: [kinds]string{"how it came: `webhook`; `spool`, if it waited on a disk of the bridge's for the broker; or `reconcile`, if its webhook did not come", "", ""},
	},
	{
		name: events.ExtExpiryTime, rules: map[string]any{"format": "date-time"},
		use: [kinds]string{"", "the command is not carried out at or after this time", ""},
	},
	{
		name: events.ExtDryRun, rules: map[string]any{"enum": list{"true", "false"}},
		use: [kinds]string{"", "`true`: check it and tell the planned call, but do not make it", "the command's"},
	},
	{
		name: events.ExtCorrelationID,
		use:  [kinds]string{"", "the sender's, for its own use", "the command's"},
	},
	{
		name: events.ExtCausationID, required: [kinds]bool{false, false, true},
		use: [kinds]string{"", "", "the command's id"},
	},
	{
		name: events.ExtCausationSource,
		use:  [kinds]string{"", "", "the command's source; none of a plain JSON command"},
	},
	{
		name: events.ExtCausationPosition,
		use:  [kinds]string{"", "", "the command's place in its stream, `<stream>:<sequence>`"},
	},
}

// encoding says how attributes stand in headers.
const encoding = "Values of ce- headers are percent-encoded: blanks, double quotes, percent signs, and every byte of UTF-8 outside of " +
	"U+0021 to U+007E. Senders encode, readers decode once."

// headersOf is the schema of the headers that a kind of event has. A command in structured mode and one in plain JSON have
// none of the attributes there, so it is all that are required or none.
func headersOf(k kind) object {
	properties, required := object{}, list{}
	for _, a := range envelope {
		if a.use[k] == "" {
			continue
		}
		schema := map[string]any{"type": "string", "description": sentence(a.use[k])}
		maps.Copy(schema, a.rules)
		if _, said := a.rules["const"]; said {
			delete(schema, "description")
		}
		properties = append(properties, member{"ce-" + a.name, schemaOf(schema, "")})
		if a.required[k] {
			required = append(required, "ce-"+a.name)
		}
	}
	if k == aCommand {
		properties = append(properties, member{events.HeaderReplyTo, object{
			{"type", "string"}, {"description", "A subject that gets a copy of the results, at most once: an inbox, or one below nats.reply_prefixes."},
		}})
	}
	properties = append(properties, member{events.HeaderMessageID, object{
		{"type", "string"}, {"description", "JetStream's own, to recognise a repetition. The bridge writes <cloud>.<id>, percent-encoded."},
	}})
	for _, name := range []string{events.ExtTraceParent, events.ExtTraceState} {
		properties = append(properties, member{name, object{
			{"type", "string"}, {"description", "W3C Trace Context of the current hop."},
		}})
	}
	headers := object{{"type", "object"}, {"description", encoding}}
	if k == aCommand {
		none := object{{"propertyNames", object{{"not", object{{"pattern", "^ce-"}}}}}}
		headers = append(headers, member{"anyOf", list{object{{"required", required}}, none}})
	} else {
		headers = append(headers, member{"required", required})
	}
	return append(headers, member{"properties", properties})
}

// sentence makes a description of an entry in a table.
func sentence(s string) string {
	s = strings.ReplaceAll(s, "`", "")
	first := s[:1]
	if !strings.HasPrefix(s, "com.") && !strings.HasPrefix(s, "urn:") && !strings.HasPrefix(s, "application/") {
		first = strings.ToUpper(first)
	}
	return first + s[1:] + "."
}
