package schemas

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

// compiledSchema compiles one of the schemas by itself: nothing else is known to the compiler.
func compiledSchema(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	text, ok := Document(name)
	if !ok {
		t.Fatalf("there is no schema %s", name)
	}
	return compiled(t, newCompiler(), "urn:test", text)
}

func newCompiler() *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	return c
}

func compiled(t testing.TB, c *jsonschema.Compiler, id string, text []byte) *jsonschema.Schema {
	t.Helper()
	if err := c.AddResource(id, value(t, text)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(id)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return s
}

func value(t testing.TB, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

func TestSchemasCompileAndTakeTheirExamples(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, name := range Names() {
		s := compiledSchema(t, name)
		text, _ := Document(name)
		var doc struct {
			Schema      string            `json:"$schema"`
			ID          string            `json:"$id"`
			Title       string            `json:"title"`
			Description string            `json:"description"`
			Examples    []json.RawMessage `json:"examples"`
		}
		if err := json.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		if want := events.SchemaURI(name); doc.ID != want || seen[doc.ID] {
			t.Errorf("%s has the id %q, want %q, once", name, doc.ID, want)
		}
		seen[doc.ID] = true
		if doc.Schema != "https://json-schema.org/draft/2020-12/schema" || doc.Title == "" || doc.Description == "" {
			t.Errorf("%s lacks something: $schema %q, title %q, description %q", name, doc.Schema, doc.Title, doc.Description)
		}
		for _, example := range doc.Examples {
			if err := s.Validate(value(t, example)); err != nil {
				t.Errorf("%s does not take its own example %s: %v", name, example, err)
			}
		}
		if data := strings.HasPrefix(name, CommandPrefix) || strings.HasPrefix(name, QueryPrefix); data && len(doc.Examples) == 0 {
			t.Errorf("%s has no example", name)
		}
	}
	if want := 10 + 2*len(factro.Operations()); len(seen) != want {
		t.Errorf("there are %d schemas, want %d: two for each operation, event, change, state, gap, notice, dryrun, error, result, status and cancel", len(seen), want)
	}
}

func TestSchemaByTheOperationAlone(t *testing.T) {
	t.Parallel()
	for short, full := range map[string]string{"createTask": "command.createTask", "getTask": "query.getTask", "event": "event"} {
		got, ok := Document(short)
		want, _ := Document(full)
		if !ok || !bytes.Equal(got, want) {
			t.Errorf("%s is not %s", short, full)
		}
	}
	for _, name := range []string{"", "nothing", "command.getTask", "answer.createTask", "query.createTask", "result.getTask"} {
		if text, ok := Document(name); ok {
			t.Errorf("there is a schema %q: %s", name, text)
		}
	}
}

// The published schema says of every sample what the one says that the bridge checks with. Samples are the example and
// the effect when each of its properties is dropped, emptied, or of another type.
func TestPublishedSchemaIsTheOneThatIsChecked(t *testing.T) {
	t.Parallel()
	refused := 0
	c := jsonschema.NewCompiler() // the bridge checks no formats, and the published schema has none for a validator that does
	if err := c.AddResource(factro.SchemasID, value(t, factro.Schemas)); err != nil {
		t.Fatal(err)
	}
	for _, op := range factro.Operations() {
		text, err := op.DataSchemaJSON()
		if err != nil {
			t.Fatal(err)
		}
		inside, published := compiled(t, c, "urn:test:"+op.Name, text), compiledSchema(t, op.Name)
		for _, sample := range spoilt(t, op.Example()) {
			v := value(t, sample)
			want, got := inside.Validate(v), published.Validate(v)
			if (want == nil) != (got == nil) {
				t.Errorf("%s %s: the bridge says %v, the published schema %v", op.Name, sample, want, got)
			}
			if want != nil {
				refused++
			}
		}
	}
	if refused < len(factro.Operations()) {
		t.Errorf("only %d samples were refused: they are no test", refused)
	}
}

func spoilt(t testing.TB, example json.RawMessage) []json.RawMessage {
	t.Helper()
	samples := []json.RawMessage{example, json.RawMessage(`{}`), json.RawMessage(`[]`), json.RawMessage(`"Prüfung"`)}
	var fields map[string]any
	if err := json.Unmarshal(example, &fields); err != nil {
		t.Fatal(err)
	}
	for name, was := range fields {
		for _, is := range []any{nil, "", "Prüfung", 1, true, []any{}, map[string]any{}, []any{map[string]any{}}} {
			fields[name] = is
			text, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			samples = append(samples, text)
		}
		delete(fields, name)
		text, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, text)
		fields[name] = was
	}
	return samples
}

// The schema takes what is proven of a body and whatever is beside it. What it does not take is still an event, unless the
// bridge could not read an action in it.
func TestEventSchemaTakesWhatFactroMaySend(t *testing.T) {
	t.Parallel()
	s := compiledSchema(t, "event")
	properties, _ := MergedProperties(Components()["Event"])
	for name := range properties {
		if !factro.KnowsWebhookKey(name) {
			t.Errorf("the event's %s is nothing that the description has", name)
		}
	}
	const ( // of a body
		proven = iota
		other  // an event, but not of the schema
		none
	)
	for body, is := range map[string]int{
		`{"action":"TaskExecutorChanged","context":{"entityId":"00000000-0000-4000-8000-000000000001"}}`: proven,
		`{"id":"a","webhookId":"b","action":"TaskStateChanged","createdAt":"2026-01-01T00:00:00.000Z","mandantId":"c",
		  "context":{"entityId":"1","somethingNew":{"any":["thing",1,null]}},"unheardOf":"ä"}`: proven,
		`{"action":"Übergabe Erfolgt"}`:                                   proven,
		`{"action":"TaskCreated","context":{}}`:                           proven,
		`{"action":"TaskCreated","id":null}`:                              proven,
		`{"action":"TaskCreated","context":null}`:                         other,
		`{"action":"TaskCreated","context":{"entityId":"keine uuid"}}`:    proven,
		`{"action":"TaskCreated","deliveryAttempts":2,"webhook":{"a":1}}`: proven,
		`{"context":{"entityId":"1"}}`:                                    none,
		`{"action":"TaskCreated","id":17,"createdAt":1767225600000}`:      proven,
		`{"action":"TaskCreated","id":{},"webhookId":[],"mandantId":1}`:   proven,
		`{"action":"TaskCreated","context":{"entityId":5}}`:               other,
		`{"action":"TaskCreated","context":"x"}`:                          other,
		`{"action":"TaskCreated","context":[]}`:                           other,
		`{"action":"TaskCreated","webhook":"x","deliveryStatus":false}`:   proven,
		`{"action":"TaskCreated","deliveryAttempts":1.5}`:                 proven,
		`{"action":"` + strings.Repeat("A", 256) + `"}`:                   proven,
		`{"action":"` + strings.Repeat("A", 257) + `"}`:                   none,
		`{"action":""}`:    none,
		`{"action":" \t"}`: none,
		`{"action":7}`:     none,
		`[]`:               none,
	} {
		if err := s.Validate(value(t, []byte(body))); (err == nil) != (is == proven) {
			t.Errorf("%s: %v", body, err)
		}
		_, err := translate.Webhook([]byte(body), translate.Receipt{
			Cloud: "demo", Source: "urn:test", At: time.Date(2026, 9, 1, 9, 30, 0, 0, time.UTC), NewID: func() string { return "0198f2a5-7f00-7000-8000-000000000001" },
		})
		if (err == nil) != (is != none) {
			t.Errorf("%s: the bridge says %v", body, err)
		}
	}
}

// The schema of results and the Go type name the same properties.
func TestResultSchemaIsTheGoType(t *testing.T) {
	t.Parallel()
	for component, typ := range map[string]reflect.Type{
		"Result": reflect.TypeFor[events.Result](), "ResultError": reflect.TypeFor[events.Error](), "FieldError": reflect.TypeFor[events.FieldError](),
		"Status": reflect.TypeFor[status.Status](), "StatusRequest": reflect.TypeFor[status.Request](),
		"PlannedCall": reflect.TypeFor[events.PlannedCall](),
	} {
		want := map[string]bool{} // name -> may be left out
		for field := range typ.Fields() {
			if name, options, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && name != "-" {
				want[name] = strings.HasPrefix(options, "omit")
			}
		}
		properties, required := MergedProperties(Components()[component])
		if component == "Result" { // the response is in the schema of each operation
			properties = maps.Clone(properties)
			properties["response"] = nil
		}
		got := map[string]bool{}
		for name := range properties {
			got[name] = !slices.Contains(required, name)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s has %v, the Go type %v", component, got, want)
		}
	}
}

// A result that says that a command was not carried out says why.
func TestResultSchemaDemandsTheReason(t *testing.T) {
	t.Parallel()
	s := compiledSchema(t, ResultName)
	for _, o := range Outcomes {
		bare := `{"operation":"createTask","outcome":"` + string(o.Name) + `","attempts":1,"startedAt":"2026-09-01T09:30:00Z"`
		why := `,"error":{"code":"refused","message":"Prüfung fehlt","detail":[{"pointer":"","message":"Prüfung fehlt"}]}`
		if err := s.Validate(value(t, []byte(bare+why+"}"))); err != nil {
			t.Errorf("%s with an error: %v", o.Name, err)
		}
		final := o.Name == events.Rejected || o.Name == events.Dead
		if err := s.Validate(value(t, []byte(bare+"}"))); (err != nil) != final {
			t.Errorf("%s without an error: %v", o.Name, err)
		}
	}
}

// The results that the bridge is tested to make, of all outcomes, are of the schema that they name.
func TestRealResultsAreOfTheirSchema(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../translate/testdata/result/*.golden")
	if err != nil || len(files) < 4 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var golden struct {
			Event struct {
				DataSchema string          `json:"dataschema"`
				Data       json.RawMessage `json:"data"`
			} `json:"event"`
		}
		if err := json.Unmarshal(text, &golden); err != nil {
			t.Fatal(err)
		}
		data := value(t, golden.Event.Data)
		name, isOurs := strings.CutPrefix(golden.Event.DataSchema, events.SchemaURI(""))
		if !isOurs {
			t.Errorf("%s has the dataschema %q", file, golden.Event.DataSchema)
			continue
		}
		if err := compiledSchema(t, ResultName).Validate(data); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		// The response of the golden files is made up, so it may not be of the operation's schema.
		if fields, ok := data.(map[string]any); ok {
			delete(fields, "response")
		}
		if err := compiledSchema(t, name).Validate(data); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// Every code and every outcome that pkg/events has is documented.
func TestAllCodesAndOutcomesAreDocumented(t *testing.T) {
	t.Parallel()
	var want []string
	find := func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		typ, _ := spec.Type.(*ast.Ident)
		if name := spec.Names[0].Name; strings.HasPrefix(name, "Code") || typ != nil && typ.Name == "Outcome" {
			if text, ok := spec.Values[0].(*ast.BasicLit); ok {
				want = append(want, strings.Trim(text.Value, `"`))
			}
		}
		return true
	}
	for _, name := range []string{"result.go", "notbefore/notbefore.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), "../../../pkg/events/"+name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, find)
	}
	var got []string
	for _, c := range Codes {
		got = append(got, c.Name)
	}
	for _, o := range Outcomes {
		got = append(got, string(o.Name))
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) < 10 || !slices.Equal(got, want) {
		t.Errorf("told are %v, pkg/events has %v", got, want)
	}
}
