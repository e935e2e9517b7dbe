package translate

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Result makes the event that reports the outcome of a command. variant follows the outcome in its id, and distinguishes
// different results of one command that have the same outcome.
func Result(cmd events.Command, r events.Result, variant string, at time.Time) (event.Event, error) {
	data, err := EncodeResult(r)
	if err != nil {
		return event.Event{}, fmt.Errorf("result of %s: %w", r.Operation, err)
	}
	extensions := map[string]any{
		attr.CausationID: cmd.Event.ID(),
		attr.Cloud:       cmd.Cloud,
	}
	id := cmd.Event.ID() + "." + string(r.Outcome) + variant
	if source := cmd.Source(); source != "" {
		extensions[attr.CausationSource] = source
		id += "." + identity.SourceDigest(source)
	}
	if cmd.Position != "" {
		extensions[attr.CausationPosition] = cmd.Position
	}
	if r.Existing {
		extensions[attr.Existing] = true
	}
	for _, name := range []string{attr.CorrelationID, attr.DryRun} {
		if v, ok := cmd.Event.Extensions()[name]; ok {
			extensions[name] = v
		}
	}
	attributes := &event.EventContextV1{
		ID:              id,
		Source:          types.URIRef{URL: uri("urn:factro:bridge:" + cmd.Cloud)},
		Type:            events.ResultTypePrefix + string(r.Outcome),
		DataContentType: &jsonContentType,
		DataSchema:      &types.URI{URL: uri(events.SchemaURI(resultSchema(cmd, r.Operation)))},
		Time:            &types.Timestamp{Time: at.UTC()},
		Extensions:      extensions,
	}
	if r.Resource != nil && r.Resource.ID != "" {
		subject := r.Resource.Type + "/" + r.Resource.ID
		attributes.Subject = &subject
	}
	return event.Event{Context: attributes, DataEncoded: data}, nil
}

// uris are the URIs of results that were made so far: of clouds and of schemas, which are few.
var uris sync.Map // string -> url.URL

func uri(text string) url.URL {
	if u, ok := uris.Load(text); ok {
		return u.(url.URL) //nolint:errcheck // nothing else is in the map
	}
	u, err := url.Parse(text)
	if err != nil { // names of clouds and of operations need no escapes
		return url.URL{Opaque: text}
	}
	uris.Store(text, *u)
	return *u
}

// EncodeResult writes the data of a result.
func EncodeResult(r events.Result) ([]byte, error) {
	if r.Error != nil { // rare, and for people
		return jsontext.Encode(r)
	}
	var w jsontext.Writer
	w.Begin(resultSize + len(r.Response))
	w.Text("operation", r.Operation)
	w.Text("outcome", string(r.Outcome))
	w.IntIf("status", r.Status)
	w.Int("attempts", r.Attempts)
	w.Time("startedAt", r.StartedAt)
	if r.FinishedAt != nil {
		w.Time("finishedAt", *r.FinishedAt)
	}
	if r.Resource != nil {
		w.Open("resource")
		w.Text("type", r.Resource.Type)
		w.TextIf("id", r.Resource.ID)
		w.TextIf("url", r.Resource.URL)
		w.End()
	}
	w.JSONIf("response", r.Response)
	w.True("responseOmitted", r.Omitted)
	w.True("adopted", r.Adopted)
	w.True("existing", r.Existing)
	if r.RetryAt != nil {
		w.Time("retryAt", *r.RetryAt)
	}
	w.TextIf("commandDigest", r.CommandDigest)
	w.JSONIf("set", r.Set)
	if len(r.SetOmitted) > 0 {
		w.OpenList("setOmitted")
		for _, name := range r.SetOmitted {
			w.Text("", name)
		}
		w.EndList()
	}
	if data, ok := w.Bytes(); ok {
		return data, nil
	}
	return jsontext.Encode(r)
}

// resultSize is about the size of a result without the response.
const resultSize = 512

// resultSchema is the name of the schema of an operation's results. The name in a subject need not be an operation. The
// response of a dry run does not come from factro, so it has a schema of its own.
func resultSchema(cmd events.Command, operation string) string {
	op, ok := factro.Lookup(operation)
	if !ok || !op.Writes() {
		return "result"
	}
	if dry, err := types.ToBool(cmd.Event.Extensions()[attr.DryRun]); err == nil && dry {
		return "dryrun"
	}
	return "result." + operation
}

// Resource names the object of a call: the one in its path, or else the one in the answer. mandantID is the mandant in the
// answer, usually empty.
func Resource(op factro.Operation, entityID string, answer []byte) (r *events.Resource, mandantID string) {
	r = &events.Resource{Type: op.Resource, ID: entityID}
	if op.Answer != factro.AnswerObject {
		return r, ""
	}
	values, err := jsontext.Properties(answer, "id", "mandantId")
	if err != nil {
		return r, ""
	}
	// The answer of createTaskTag is a tag, whose id is not that of a task.
	if r.ID == "" && strings.EqualFold(op.AnswerSchema+"Id", entityParam(op.Resource)) {
		r.ID, _ = jsontext.String(string(values[0]))
	}
	mandantID, _ = jsontext.String(string(values[1]))
	return r, mandantID
}

// MadeIDs are the ids of the objects in a create's answer.
func MadeIDs(op factro.Operation, answer []byte) []string {
	var items []json.RawMessage
	switch op.Answer {
	case factro.AnswerObject:
		items = []json.RawMessage{answer}
	case factro.AnswerList:
		_ = json.Unmarshal(answer, &items) // an answer that is not a list names no objects
	case factro.AnswerVoid:
	}
	var ids []string
	for _, item := range items {
		if values, err := jsontext.Properties(item, "id"); err == nil {
			if id, _ := jsontext.String(string(values[0])); id != "" {
				ids = append(ids, id)
			}
		}
	}
	return ids
}
