package contract

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
	"github.com/factro-bridge/factro-bridge/pkg/events/gap"
	"github.com/factro-bridge/factro-bridge/pkg/events/notice"
)

// asyncAPI is what the tests read of the document.
type asyncAPI struct {
	Channels   map[string]asyncChannel   `json:"channels"`
	Operations map[string]asyncOperation `json:"operations"`
	Components struct {
		Messages map[string]asyncMessage `json:"messages"`
	} `json:"components"`
}

type asyncChannel struct {
	Address    string                  `json:"address"`
	Messages   map[string]asyncRef     `json:"messages"`
	Parameters map[string]any          `json:"parameters"`
	JetStream  struct{ Stream string } `json:"x-jetstream"`
}

type asyncOperation struct {
	Action   string     `json:"action"`
	Channel  asyncRef   `json:"channel"`
	Messages []asyncRef `json:"messages"`
	Reply    *struct {
		Address  struct{ Location string } `json:"address"`
		Channel  asyncRef                  `json:"channel"`
		Messages []asyncRef                `json:"messages"`
	} `json:"reply"`
}

type asyncMessage struct {
	Headers  json.RawMessage `json:"headers"`
	Traits   []asyncRef      `json:"traits"`
	Examples []struct {
		Headers map[string]string `json:"headers"`
		Payload json.RawMessage   `json:"payload"`
	} `json:"examples"`
}

type asyncRef struct {
	Ref string `json:"$ref"`
}

func (r asyncRef) name() string { return schemas.ComponentOf(r.Ref) }

// factroDocument is the document for the usual prefix, as JSON. To make one takes a second.
var factroDocument = sync.OnceValues(func() ([]byte, error) {
	return asJSONDocument(AsyncAPI("factro"))
})

func asJSONDocument(text []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	return json.Marshal(doc)
}

// documentValue is the document for the usual prefix as a schema's validator wants it.
func documentValue(t testing.TB) any {
	t.Helper()
	text, err := factroDocument()
	if err != nil {
		t.Fatal(err)
	}
	return value(t, text)
}

func readAsyncAPI(t testing.TB, text []byte, err error) asyncAPI {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var doc asyncAPI
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// The AsyncAPI Initiative's own schema of documents takes ours.
func TestAsyncAPIIsValid(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/asyncapi-3.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	s := compiled(t, newCompiler(), "http://asyncapi.com/definitions/3.1.0/asyncapi.json", text)
	doc := documentValue(t)
	if err := s.Validate(doc); err != nil {
		t.Errorf("%v", err)
	}
	channels, _ := doc.(map[string]any)["channels"].(map[string]any)
	channels["event"] = map[string]any{"adress": "factro.event"} //nolint:misspell // the mistake is the point
	if s.Validate(doc) == nil {
		t.Error("the schema takes a channel with a mistake, so it checks nothing")
	}
}

// All references lead somewhere, and no schema says what only draft 2020-12 knows.
func TestAsyncAPIHoldsTogether(t *testing.T) {
	t.Parallel()
	wantTogether(t, documentValue(t))
}

func wantTogether(t testing.TB, root any) {
	t.Helper()
	var walk func(v any, at string)
	walk = func(v any, at string) {
		switch v := v.(type) {
		case map[string]any:
			if to, ok := v["$ref"].(string); ok {
				found := root
				for step := range strings.SplitSeq(strings.TrimPrefix(to, "#/"), "/") {
					m, _ := found.(map[string]any)
					found = m[step]
				}
				if found == nil || len(v) != 1 {
					t.Errorf("%s refers to %s, which is not there, or is not alone", at, to)
				}
			}
			for name, e := range v {
				switch name {
				case "$defs", "$id", "$schema", "$dynamicRef", "prefixItems", "dependentRequired", "dependentSchemas", "unevaluatedProperties":
					t.Errorf("%s has %s, which AsyncAPI does not know", at, name)
				}
				walk(e, at+"/"+name)
			}
		case []any:
			for _, e := range v {
				walk(e, at)
			}
		}
	}
	walk(root, "#")
}

// Every example of every message is a message that the bridge's own codec reads, on a subject of its channel, with headers
// and a payload of its schemas.
func TestEveryExampleIsARealMessage(t *testing.T) {
	t.Parallel()
	const prefix = events.Prefix("factro")
	text, err := factroDocument()
	doc := readAsyncAPI(t, text, err)
	c := newCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	if err := c.AddResource("urn:test", documentValue(t)); err != nil {
		t.Fatal(err)
	}
	at := func(part, name, key string) *jsonschema.Schema {
		s, err := c.Compile("urn:test#/components/" + part + "/" + name + "/" + key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, m := range doc.Components.Messages {
		if len(m.Examples) == 0 {
			if !strings.HasPrefix(name, schemas.AnswerPrefix) { // an answer without a promise
				t.Errorf("%s has no example", name)
			}
			continue
		}
		payload, headers := at("messages", name, "payload"), []*jsonschema.Schema{}
		if m.Headers != nil {
			headers = append(headers, at("messages", name, "headers"))
		}
		for _, trait := range m.Traits {
			headers = append(headers, at("messageTraits", trait.name(), "headers"))
		}
		for _, example := range m.Examples {
			if err := payload.Validate(value(t, example.Payload)); err != nil {
				t.Errorf("%s: payload: %v", name, err)
			}
			values := map[string]any{}
			header := nats.Header{}
			for key, v := range example.Headers {
				values[key] = v
				header[key] = []string{v}
			}
			for _, s := range headers {
				if err := s.Validate(values); err != nil {
					t.Errorf("%s: headers: %v", name, err)
				}
			}
			wantMessage(t, prefix, name, doc.Channels[name].Address, header, example.Payload)
		}
	}
}

// The headers that a command may have, by the document, are those with which the bridge reads it.
func TestHeadersOfACommand(t *testing.T) {
	t.Parallel()
	c := newCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	if err := c.AddResource("urn:test", documentValue(t)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("urn:test#/components/messageTraits/command/headers")
	if err != nil {
		t.Fatal(err)
	}
	const subject, typ = "factro.command.demo.task.createTask", events.CommandTypePrefix + "createTask"
	for name, tt := range map[string]struct {
		headers map[string]string
		data    string
		good    bool
	}{
		"plain":             {nil, `{}`, true},
		"plain with others": {map[string]string{events.HeaderMessageID: "a", events.HeaderReplyTo: "b", "traceparent": "c"}, `{}`, true},
		"required":          {map[string]string{"ce-specversion": "1.0", "ce-id": "a", "ce-source": "urn:b", "ce-type": typ}, `{}`, true},
		"without data":      {map[string]string{"ce-specversion": "1.0", "ce-id": "a", "ce-source": "urn:b", "ce-type": typ}, ``, true},
		"structured": {
			map[string]string{"Content-Type": "application/cloudevents+json"}, `{"specversion":"1.0","id":"a","source":"urn:b","type":"` + typ + `"}`, true,
		},
		"only an id":    {map[string]string{"ce-id": "a"}, `{}`, false},
		"only optional": {map[string]string{"ce-expirytime": "2026-09-01T09:30:00Z"}, `{}`, false},
		"no version":    {map[string]string{"ce-id": "a", "ce-source": "urn:b", "ce-type": typ}, `{}`, false},
		"no type":       {map[string]string{"ce-specversion": "1.0", "ce-id": "a", "ce-source": "urn:b"}, `{}`, false},
	} {
		values, header := map[string]any{}, nats.Header{}
		for key, v := range tt.headers {
			values[key], header[key] = v, []string{v}
		}
		if err := s.Validate(values); (err == nil) != tt.good {
			t.Errorf("%s: the document says %v", name, err)
		}
		if _, err := events.Prefix("factro").DecodeCommand(subject, header, []byte(tt.data), "FACTRO_COMMANDS_ACME:1"); (err == nil) != tt.good {
			t.Errorf("%s: the bridge says %v", name, err)
		}
	}
}

// wantMessage decodes an example as its receiver would.
func wantMessage(t testing.TB, prefix events.Prefix, name, address string, header nats.Header, payload []byte) {
	t.Helper()
	subject := strings.NewReplacer("{cloud}", ExampleCloud, "{outcome}", "applied").Replace(address)
	kind, operation, _ := strings.Cut(name, ".")
	if name == schemas.DryRunName { // it is in the channel of each operation
		r := events.Result{}
		e, err := events.FromMsg(header, payload)
		if err != nil || json.Unmarshal(e.Data(), &r) != nil || e.Extensions()[attr.DryRun] != "true" || e.DataSchema() != events.SchemaURI(name) || len(r.Response) == 0 {
			t.Errorf("%s is read as %v, %v", name, e, err)
		}
		return
	}
	switch kind {
	case "command":
		c, err := prefix.DecodeCommand(subject, header, payload, "")
		if err != nil || c.Operation != operation || c.Event.ID() != exampleCommandID || !bytes.Equal(c.Event.Data(), payload) {
			t.Errorf("%s is read as %v, %v", name, c, err)
		}
	case "event", "result":
		if name == schemas.ResultName { // of an operation that is none
			operation = "makeTask"
		}
		e, err := events.FromMsg(header, payload)
		if err != nil || !bytes.Equal(e.Data(), payload) {
			t.Errorf("%s is read as %v, %v", name, e, err)
			return
		}
		if strings.HasPrefix(name, "event.gap.") {
			gap, err := gap.Of(e)
			at, parseErr := prefix.ParseEvent(strings.Replace(address, "{id}", gap.GapID, 1))
			if err != nil || parseErr != nil || e.Subject() != at.Resource+"/"+at.ID || e.Type() != "com.factro.bridge."+operation || len(gap.Records) != 1 {
				t.Errorf("%s is read as %+v, %v, %v", name, gap, err, parseErr)
			}
			return
		}
		if kind == "event" {
			if want := events.EventTypePrefix + "TaskExecutorChanged"; e.Type() != want || e.Subject() != "task/"+exampleEntityID {
				t.Errorf("the event has type %s and subject %s", e.Type(), e.Subject())
			}
			return
		}
		var r events.Result
		if err := json.Unmarshal(e.Data(), &r); err != nil || r.Operation != operation || (r.Outcome == events.Applied) != (name != schemas.ResultName) {
			t.Errorf("%s has the data %+v, %v", name, r, err)
		}
		if e.DataSchema() != events.SchemaURI(name) {
			t.Errorf("%s has the dataschema %q", name, e.DataSchema())
		}
	case "bridge":
		e, err := events.FromMsg(header, payload)
		what, n, readErr := notice.Of(e)
		if err != nil || readErr != nil || what != operation || subject != prefix.Notice(ExampleCloud, what) || n.Cloud != ExampleCloud || n.Bridge == "" || (n.Since == nil) != (what == notice.Takeover) {
			t.Errorf("%s is read as %s %+v, %v, %v", name, what, n, err, readErr)
		}
	case "change":
		e, err := events.FromMsg(header, payload)
		subject = strings.NewReplacer("{resource}", exampleResource, "{id}", exampleEntityID, "{what}", change.Updated).Replace(subject)
		c, readErr := change.Decode(events.Event{CloudEvent: e, Subject: subject, Header: header})
		if err != nil || readErr != nil || c.ID != exampleEntityID || len(c.Causes) != 1 || c.Certainty != change.Exact || c.StateFrom == 0 || header.Get(events.HeaderMessageID) != e.ID() ||
			subject != change.Subject(prefix, ExampleCloud, c.Resource, c.ID, c.What) || string(c.After[c.Changed[0]]) == "" {
			t.Errorf("%s is read as %+v, %v, %v", name, c, err, readErr)
		}
	case "state":
		s := stateSample(prefix)
		if address != "$KV.FACTRO_STATE_{CLOUD}.{cloud}.{resource}.{id}" || s.subject != "$KV.FACTRO_STATE_DEMO.demo.task."+exampleEntityID {
			t.Errorf("%s is at %s, and the example at %s", name, address, s.subject)
		}
	case "query":
		if len(header) > 0 {
			t.Errorf("%s needs headers: %v", name, header)
		}
	}
}

// Each operation of the table has its channels, their addresses are subjects of the contract, and the bridge's part in
// them is the right one.
func TestEveryOperationHasItsChannels(t *testing.T) {
	t.Parallel()
	const prefix = events.Prefix("acme-bruecke")
	text, err := asJSONDocument(AsyncAPI(prefix))
	doc := readAsyncAPI(t, text, err)
	want := map[string]string{
		"event": "send", "change": "send", "state": "send", "event.gap.detected": "send", "event.gap.closed": "send",
		"bridge.opened": "send", "bridge.closed": "send", "bridge.paused": "send", "bridge.resumed": "send", "bridge.key-refused": "send", "bridge.key-accepted": "send", "bridge.takeover": "send",
		"result": "send", "redrive": "receive", "status": "receive", "cancel": "receive", "dead.command": "send", "dead.webhook": "send",
	}
	for _, op := range factro.Operations() {
		address := events.Address{Cloud: "{cloud}", Resource: op.Resource, Operation: op.Name}
		if !op.Writes() {
			want["query."+op.Name] = "receive"
			if got, err := prefix.ParseQuery(doc.Channels["query."+op.Name].Address); err != nil || got != address {
				t.Errorf("%s is queried at %v, %v", op.Name, got, err)
			}
			reply := doc.Operations["query."+op.Name].Reply
			if reply == nil || reply.Channel.name() != "answer" || len(reply.Messages) != 3 || reply.Messages[0].name() != "answer."+op.Name {
				t.Errorf("%s has the reply %+v", op.Name, reply)
			}
			continue
		}
		want["command."+op.Name], want["result."+op.Name] = "receive", "send"
		if got, err := prefix.ParseCommand(doc.Channels["command."+op.Name].Address); err != nil || got != address {
			t.Errorf("%s is commanded at %v, %v", op.Name, got, err)
		}
		reply := doc.Operations["command."+op.Name].Reply
		if reply == nil || reply.Address.Location != "$message.header#/"+events.HeaderReplyTo || reply.Channel.name() != "copy" ||
			len(reply.Messages) != 2 || reply.Messages[0].name() != "result."+op.Name || reply.Messages[1].name() != schemas.DryRunName || doc.Channels["copy"].Messages["result."+op.Name].Ref == "" {
			t.Errorf("%s has the reply %+v", op.Name, reply)
		}
		got, err := prefix.ParseResult(doc.Channels["result."+op.Name].Address)
		if err != nil || got != (events.ResultAddress{Address: address, Outcome: "{outcome}"}) {
			t.Errorf("%s is answered at %v, %v", op.Name, got, err)
		}
	}
	if got, err := prefix.ParseResult(doc.Channels["result"].Address); err != nil || got != (events.ResultAddress{
		Address: events.Address{Cloud: "{cloud}", Resource: "{resource}", Operation: "{operation}"}, Outcome: "{outcome}",
	}) {
		t.Errorf("results of unknown operations have the address %v, %v", got, err)
	}
	if got, err := prefix.ParseRedrive(doc.Channels["redrive"].Address); err != nil || got != (events.Address{
		Cloud: "{cloud}", Resource: "{resource}", Operation: "{operation}",
	}) {
		t.Errorf("commands are sent once more at %v, %v", got, err)
	}
	if got, err := prefix.ParseEvent(doc.Channels["event"].Address); err != nil || got != (events.EventAddress{
		Cloud: "{cloud}", Resource: "{resource}", ID: "{id}", Action: "{action}",
	}) {
		t.Errorf("events have the address %v, %v", got, err)
	}

	for name, action := range want {
		op, ok := doc.Operations[name]
		if !ok || op.Action != action || op.Channel.name() != name || op.Messages[0].name() != name || len(op.Messages) != len(doc.Channels[name].Messages) {
			t.Errorf("the operation %s is %+v, want it to %s", name, op, action)
		}
		_, ofOperation := strings.CutPrefix(name, schemas.ResultName+".")
		if dry := doc.Channels[name].Messages[schemas.DryRunName].Ref != ""; dry != ofOperation || len(op.Messages) > 2 {
			t.Errorf("the channel %s has the messages %v", name, doc.Channels[name].Messages)
		}
	}
	if len(doc.Operations) != len(want) || len(doc.Channels) != len(want)+2 {
		t.Errorf("there are %d operations and %d channels, want %d, and the two channels of the replies", len(doc.Operations), len(doc.Channels), len(want))
	}
	streams := map[string]string{
		"event": "ACME-BRUECKE_EVENTS_{CLOUD}", "command": "ACME-BRUECKE_COMMANDS_{CLOUD}", "redrive": "ACME-BRUECKE_COMMANDS_{CLOUD}",
		"result": "ACME-BRUECKE_RESULTS_{CLOUD}", "dead": "ACME-BRUECKE_DEAD_{CLOUD}", "bridge": "ACME-BRUECKE_BRIDGE_{CLOUD}",
		"change": "ACME-BRUECKE_CHANGES_{CLOUD}", "state": "KV_ACME-BRUECKE_STATE_{CLOUD}",
	}
	parameter := regexp.MustCompile(`\{(\w+)\}`)
	for name, c := range doc.Channels {
		kind, _, _ := strings.Cut(name, ".")
		if c.JetStream.Stream != streams[kind] {
			t.Errorf("%s is in the stream %q, want %q", name, c.JetStream.Stream, streams[kind])
		}
		found := parameter.FindAllStringSubmatch(c.Address, -1)
		if len(found) != len(c.Parameters) {
			t.Errorf("%s has the parameters %v", c.Address, c.Parameters)
		}
		for _, m := range found {
			if c.Parameters[m[1]] == nil {
				t.Errorf("%s does not tell %s", c.Address, m[1])
			}
		}
	}
}
