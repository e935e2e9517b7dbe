package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	factroapi "github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// asker sends commands and queries and waits for their outcomes.
type asker struct {
	nc *nats.Conn
	js jetstream.JetStream
}

// command sends a command as a stranger does and returns the final result's data.
func (a asker) command(t testing.TB, op factroapi.Operation, data []byte) []byte {
	t.Helper()
	inbox, err := a.nc.SubscribeSync(a.nc.NewRespInbox())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inbox.Unsubscribe() }()
	msg := nats.NewMsg(prefix.Command("acme", op.Resource, op.Name))
	msg.Data = data
	msg.Header.Set(events.HeaderReplyTo, inbox.Subject)
	publish(t, a.js, msg)
	for {
		answer, err := inbox.NextMsg(patience)
		if err != nil {
			t.Fatalf("%s: no result: %v", op.Name, err)
		}
		var r events.Result
		if err := json.Unmarshal(answer.Data, &r); err != nil {
			t.Fatalf("%s: %v\n%s", op.Name, err, answer.Data)
		}
		if r.Outcome != events.Deferred {
			return answer.Data
		}
	}
}

// query asks and returns the answer's data.
func (a asker) query(t testing.TB, op factroapi.Operation, data []byte) []byte {
	t.Helper()
	answer, err := a.nc.Request(prefix.Query("acme", op.Resource, op.Name), data, patience)
	if err != nil {
		t.Fatalf("%s: %v", op.Name, err)
	}
	if code := answer.Header.Get("Nats-Service-Error-Code"); code != "" {
		t.Errorf("%s: %s %s\n%s", op.Name, code, answer.Header.Get("Nats-Service-Error"), answer.Data)
	}
	return answer.Data
}

// contractOf compiles a published schema.
func contractOf(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	text, ok := schemas.Document(name)
	if !ok {
		t.Fatalf("there is no schema %s", name)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func wantFits(t testing.TB, schema string, data []byte) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err == nil {
		err = contractOf(t, schema).Validate(value)
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", schema, err, data)
	}
}

// TestEveryOperation sends the example of each operation through broker, bridge and HTTP to the simulator,
// which holds the request against the description with a library of its own, and holds what comes back against the
// published schema. What it cannot show: whether the real factro agrees with the description.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{Examples: true})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	nc, js := n.Connect(t)
	ask := asker{nc, js}

	done := 0
	var void, empty []string // where the proof is weaker
	for _, op := range factroapi.Operations() {
		f.Reset() // each finds the example tenant as the documents describe it
		if op.AnswerSchema == "WebhookPayload" {
			b.register(f, "acme") // what nobody hears of is not stored
			f.Fire("TaskStateChanged", factroapi.ExampleTask)
		}
		if op.Writes() {
			data := ask.command(t, op, op.Example())
			var r events.Result
			if err := json.Unmarshal(data, &r); err != nil {
				t.Fatal(err)
			}
			if r.Outcome != events.Applied {
				t.Errorf("%s: %s", op.Name, data)
			}
			wantFits(t, "result."+op.Name, data)
			switch {
			case op.Answer == factroapi.AnswerVoid:
				void = append(void, op.Name)
			case len(r.Response) == 0:
				t.Errorf("%s has no response", op.Name)
			}
		} else {
			answer := ask.query(t, op, op.Example())
			wantFits(t, "answer."+op.Name, answer)
			if len(bytes.TrimSpace(answer)) <= len("[]") {
				empty = append(empty, op.Name)
			}
		}
		requests := f.Requests()
		if len(requests) != 1 || requests[0].Operation != op.Name || requests[0].Status/100 != 2 || !requests[0].Applied {
			t.Errorf("%s: factro got %+v", op.Name, requests)
			continue
		}
		done++
	}
	t.Logf("%d operations carried out: the request held against the description, the answer against the published schema", done)
	t.Logf("%d promise no answer, so there was none to hold against anything: %s", len(void), strings.Join(void, " "))
	t.Logf("%d answered with an empty list or map: %s", len(empty), strings.Join(empty, " "))
	if all := len(factroapi.Operations()); done != all {
		t.Errorf("%d operations worked, want %d", done, all)
	}
}

// recorder is a Core API that says yes to everything and remembers the last request.
type recorder struct {
	mu   sync.Mutex
	path string // escaped, below the base
	body []byte
}

func startRecorder(t testing.TB) (*recorder, string) {
	t.Helper()
	rec := &recorder{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		rec.mu.Lock()
		path := strings.TrimPrefix(r.URL.EscapedPath(), "/api/core")
		rec.path, rec.body = path, body
		rec.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		op, _ := factroapi.Route(r.Method, path)
		fmt.Fprint(w, formOf(op))
	}))
	t.Cleanup(server.Close)
	return rec, server.URL + "/api/core"
}

// formOf is the least that is in the form of an operation's answer.
func formOf(op factroapi.Operation) string {
	object := `{"id":"1"}`
	if known := op.AnswerProperties(); len(known) > 0 && !op.AnswerHasID() {
		object = fmt.Sprintf(`{%q:1}`, known[0])
	}
	if op.Answer == factroapi.AnswerList {
		return "[" + object + "]"
	}
	return object
}

func (r *recorder) last() (path string, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.path, r.body
}

// TestValuesArriveAsTheyWereSent: path parameters with all marks that they may have, null beside absent, and all digits of a
// number, in every operation.
func TestValuesArriveAsTheyWereSent(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	rec, url := startRecorder(t)
	newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": url}}).start()
	nc, js := n.Connect(t)
	ask := asker{nc, js}
	for _, op := range factroapi.Operations() {
		data := map[string]json.RawMessage{}
		if err := json.Unmarshal(op.Example(), &data); err != nil {
			t.Fatal(err)
		}
		params := map[string]string{}
		for i, p := range op.Params {
			if p.Query || op.Fields[i].Type != "string" {
				continue
			}
			params[p.Name] = fmt.Sprintf("id-%d._~:+@,=Z", i)
			data[p.Field] = mustJSON(t, params[p.Name])
		}
		if op.Body == factroapi.BodyObject {
			for name, value := range map[string]string{
				"x-null": "null", "x-big": "12345678901234567890123", "x-decimal": "1.10", "x-exponent": "1E2", "x-text": `"ä <b>\u0000"`,
				"x-nested": `{"ö":[null,9007199254740993,{"n":null}]}`,
			} {
				data[name] = json.RawMessage(value)
			}
		}
		sent := mustJSON(t, data)
		if op.Writes() {
			if got := ask.command(t, op, sent); !strings.Contains(string(got), `"applied"`) {
				t.Fatalf("%s: %s", op.Name, got)
			}
		} else {
			ask.query(t, op, sent)
		}
		path, body := rec.last()
		wantPath(t, op, path, params)
		if op.Body == factroapi.BodyObject {
			maps.DeleteFunc(data, func(name string, _ json.RawMessage) bool {
				return slices.ContainsFunc(op.Params, func(p factroapi.Param) bool { return p.Field == name })
			})
			if op.Search != nil && op.Search.Sets != "" && data[op.Search.Sets] == nil { // the bridge adds it, to know the object again
				var got map[string]json.RawMessage
				if err := json.Unmarshal(body, &got); err != nil || got[op.Search.Sets] == nil {
					t.Errorf("%s: the body is %s, want %s in it (%v)", op.Name, body, op.Search.Sets, err)
				}
				delete(got, op.Search.Sets)
				body = mustJSON(t, got)
			}
			if want := mustJSON(t, data); !bytes.Equal(body, want) {
				t.Errorf("%s: the body is\n%s, want\n%s", op.Name, body, want)
			}
		}
	}
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(out.Bytes())
}

// wantPath takes a path apart as a server does, and finds each parameter in its place.
func wantPath(t testing.TB, op factroapi.Operation, path string, params map[string]string) {
	t.Helper()
	got, want := strings.Split(path, "/"), strings.Split(op.Path, "/")
	if len(got) != len(want) {
		t.Errorf("%s: the path is %s, want one like %s", op.Name, path, op.Path)
		return
	}
	for i, segment := range want {
		name, isParam := strings.CutPrefix(segment, "{")
		value, checked := params[strings.TrimSuffix(name, "}")]
		text, err := url.PathUnescape(got[i])
		switch {
		case err != nil, !isParam && text != segment, isParam && checked && text != value:
			t.Errorf("%s: segment %d of %s is %q, %v, want %q", op.Name, i, path, text, err, value)
		}
	}
}

// TestTheCollision: the one operation whose path and body share a name.
func TestTheCollision(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{Examples: true})
	newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_, js := n.Connect(t)
	results := watchStream(t, js, prefix.ResultStream("acme"))
	send(t, js, "acme", "movePackageToProject", "move", `{"packageId":"`+factroapi.ExamplePackage+`","fromProjectId":"`+
		factroapi.ExampleProject+`","projectId":"`+factroapi.ExampleOtherProject+`"}`)
	if r := results.finalOf(t, "move"); r.Outcome != events.Applied {
		t.Fatalf("got %+v", r)
	}
	moved := f.Count("package", func(o map[string]any) bool {
		return o["id"] == factroapi.ExamplePackage && o["projectId"] == factroapi.ExampleOtherProject
	})
	if moved != 1 {
		t.Error("the package did not move to the project in the body")
	}
	if r := f.Requests(); len(r) != 1 || !strings.HasPrefix(r[0].Path, "/projects/"+factroapi.ExampleProject+"/packages/") {
		t.Errorf("factro got %+v", r)
	}
}

// TestStoredPayloadsShowNoSecret: factro shows the secret of a webhook with each stored payload; a query does not.
func TestStoredPayloadsShowNoSecret(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	b.register(f, "acme")
	nc, js := n.Connect(t)
	stream := watchStream(t, js, prefix.EventStream("acme"))
	f.Fire("TaskStateChanged", "the-task")
	stream.find(t, "the event", func(m message) bool { return strings.Contains(m.subject, "the-task") })
	ask := asker{nc, js}
	for name, data := range map[string]string{
		"listWebhookPayloads":         `{"startDate":"2026-01-01T00:00:00.000Z"}`,
		"listWebhookPayloadsByAction": `{"startDate":"2026-01-01T00:00:00.000Z","actionType":"TaskStateChanged"}`,
	} {
		op, _ := factroapi.Lookup(name)
		answer := string(ask.query(t, op, []byte(data)))
		if strings.Contains(answer, webhookSecret) || !strings.Contains(answer, `"authenticationHeaderValue":null`) {
			t.Errorf("%s: %s", name, answer)
		}
		if !strings.Contains(answer, "the-task") {
			t.Errorf("%s does not show the payload: %s", name, answer)
		}
		wantFits(t, "answer."+name, []byte(answer))
	}
}
