package contract

import (
	"fmt"
	"maps"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// kind is one of the three events of the contract.
type kind int

const (
	AnEvent kind = iota
	ACommand
	AResult
	kinds
)

// attribute is an attribute of CloudEvents, as it is used here.
type attribute struct {
	Name string
	// rules is the schema of its value, which in a header is text.
	rules map[string]any
	// use says for each kind what the attribute is there, "" if it has none.
	Use [kinds]string
	// required says for which kinds it is always there.
	Required [kinds]bool
}

var always = [kinds]bool{true, true, true}

// Envelope are the attributes of all kinds, in the order of the documents.
var Envelope = []attribute{
	{
		Name: "specversion", Required: always, rules: map[string]any{"const": "1.0"},
		Use: [kinds]string{"`1.0`", "`1.0`", "`1.0`"},
	},
	{
		Name: "id", Required: always, rules: map[string]any{"minLength": 1},
		Use: [kinds]string{"the body's `id` where there is one, else minted; a UUID made of the `id` if that has more than 256 bytes or is no valid text; with a digest of the body behind it if another body had the id before", "the sender's, best a UUID; by source and id a command of a cloud is recognised for 7 days", "`<command id>.<outcome>`, then a suffix where results of one id are no repetitions of each other (a dry run, a `deferred` result, a message that was rejected before anything was called, a command that was sent once more), and 16 hex digits of a digest of the command's source, if it has one"},
	},
	{
		Name: "source", Required: always, rules: map[string]any{"format": "uri-reference", "minLength": 1},
		Use: [kinds]string{"`urn:factro:cloud:<cloud>`, configurable", "the sender's, each program its own; at most 512 bytes", "`urn:factro:bridge:<cloud>`"},
	},
	{
		Name: "type", Required: always, rules: map[string]any{"minLength": 1},
		Use: [kinds]string{
			"`" + events.EventTypePrefix + "<Action>`", "`" + events.CommandTypePrefix + "<operation>`",
			"`" + events.ResultTypePrefix + "<outcome>`",
		},
	},
	{
		Name: "subject",
		Use:  [kinds]string{"`<resource>/<id>`", "optional", "`<resource>/<id>` once known"},
	},
	{
		Name: "time", rules: map[string]any{"format": "date-time"}, Required: [kinds]bool{true, false, true},
		Use: [kinds]string{"the body's `createdAt` where there is one, else receipt", "optional", "when it was decided"},
	},
	{
		Name: "datacontenttype", Required: [kinds]bool{true, false, true},
		Use: [kinds]string{"`application/json`", "`application/json`, or absent", "`application/json`"},
	},
	{
		Name: "dataschema", rules: map[string]any{"format": "uri"},
		Use: [kinds]string{"of an event about a gap `" + events.SchemaURI("gap") + "`, else none", "optional, not looked at", "`" + events.SchemaURI("result.<operation>") + "`, without the operation where it is unknown; of a dry run `" + events.SchemaURI(schemas.DryRunName) + "`"},
	},
	{
		Name: attr.TraceParent,
		Use: [kinds]string{
			"the trace in which the event began", "the sender's trace, which is continued", "the command's trace",
		},
	},
	{
		Name: attr.RecordedTime, rules: map[string]any{"format": "date-time"}, Required: [kinds]bool{true, false, false},
		Use: [kinds]string{"when the bridge received it", "", ""},
	},
	{
		Name: attr.Action, Required: [kinds]bool{true, false, false},
		Use: [kinds]string{"the action, as factro wrote it", "", ""},
	},
	{
		Name: attr.Cloud, Required: [kinds]bool{true, false, true},
		Use: [kinds]string{"the cloud's name", "", "the cloud's name"},
	},
	{
		Name: attr.Origin, Required: [kinds]bool{true, false, false},
		Use: [kinds]string{"how it came: `webhook`; `spool`, if it waited on a disk of the bridge's for the broker; or `reconcile`, if its webhook did not come", "", ""},
	},
	{
		Name: attr.ExpiryTime, rules: map[string]any{"format": "date-time"},
		Use: [kinds]string{"", "the command is not carried out at or after this time", ""},
	},
	{
		Name: attr.NotBefore, rules: map[string]any{"format": "date-time"},
		Use: [kinds]string{"", "the command is not carried out before this time, which is at most 366 days ahead", ""},
	},
	{
		Name: attr.DryRun, rules: map[string]any{"enum": ordered.List{"true", "false"}},
		Use: [kinds]string{"", "`true`: check it and tell the planned call, but do not make it", "the command's"},
	},
	{
		Name: attr.ExternalKey, rules: map[string]any{"minLength": 1},
		Use: [kinds]string{"", fmt.Sprintf("only of a create of one object: the sender's own key of the object, 1 to %d bytes of text, upper and lower case differ. Creates of a cloud and a resource with one key make one object", attr.MaxExternalKey), ""},
	},
	{
		Name: attr.OnConflict, rules: map[string]any{"enum": ordered.List{attr.OnConflictExisting, attr.OnConflictUpdate}},
		Use: [kinds]string{"", "only with externalkey, if its object exists: `existing`, the default, reports the object; `update` updates it with the data", ""},
	},
	{
		Name: attr.Existing, rules: map[string]any{"enum": ordered.List{"true"}},
		Use: [kinds]string{"", "", "`true` if the object of the externalkey exists, so that nothing was created"},
	},
	{
		Name: attr.PartitionKey,
		Use:  [kinds]string{"", "commands of one key are carried out in their order; without it the key is what the command changes, if that is one thing", ""},
	},
	{
		Name: attr.Priority, rules: map[string]any{"enum": ordered.List{attr.PriorityHigh, attr.PriorityNormal, attr.PriorityLow}},
		Use: [kinds]string{"", "of the commands that wait, `high` goes first and `low` last; without it `normal`", ""},
	},
	{
		Name: attr.CorrelationID,
		Use:  [kinds]string{"", "the sender's, for its own use", "the command's"},
	},
	{
		Name: attr.CausationID, Required: [kinds]bool{false, false, true},
		Use: [kinds]string{"", "", "the command's id"},
	},
	{
		Name: attr.CausationSource,
		Use:  [kinds]string{"", "", "the command's source; none of a plain JSON command"},
	},
	{
		Name: attr.CausationPosition,
		Use:  [kinds]string{"", "", "the command's place in its stream, `<stream>:<sequence>`"},
	},
}

// encoding says how attributes stand in headers.
const encoding = "Values of ce- headers are percent-encoded: blanks, double quotes, percent signs, and every byte of UTF-8 outside of " +
	"U+0021 to U+007E. Senders encode, readers decode once."

// headersOf is the schema of the headers that a kind of event has. A command in structured mode and one in plain JSON have
// none of the attributes there, so it is all that are required or none.
func headersOf(k kind) ordered.Object {
	properties, required := ordered.Object{}, ordered.List{}
	for _, a := range Envelope {
		if a.Use[k] == "" {
			continue
		}
		schema := map[string]any{"type": "string", "description": sentence(a.Use[k])}
		maps.Copy(schema, a.rules)
		if _, said := a.rules["const"]; said {
			delete(schema, "description")
		}
		properties = append(properties, ordered.Member{"ce-" + a.Name, schemas.Ordered(schema, "")})
		if a.Required[k] {
			required = append(required, "ce-"+a.Name)
		}
	}
	if k == ACommand {
		properties = append(properties, ordered.Member{events.HeaderReplyTo, ordered.Object{
			{"type", "string"}, {"description", "A subject that gets a copy of the results, at most once: an inbox, or one below nats.reply_prefixes."},
		}})
	}
	properties = append(properties, ordered.Member{events.HeaderMessageID, ordered.Object{
		{"type", "string"}, {"description", "JetStream's own, to recognise a repetition. The bridge writes <cloud>.<id>, percent-encoded."},
	}})
	for _, name := range []string{attr.TraceParent, attr.TraceState} {
		properties = append(properties, ordered.Member{name, ordered.Object{
			{"type", "string"}, {"description", "W3C Trace Context of the current hop."},
		}})
	}
	headers := ordered.Object{{"type", "object"}, {"description", encoding}}
	if k == ACommand {
		none := ordered.Object{{"propertyNames", ordered.Object{{"not", ordered.Object{{"pattern", "^ce-"}}}}}}
		headers = append(headers, ordered.Member{"anyOf", ordered.List{ordered.Object{{"required", required}}, none}})
	} else {
		headers = append(headers, ordered.Member{"required", required})
	}
	return append(headers, ordered.Member{"properties", properties})
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
