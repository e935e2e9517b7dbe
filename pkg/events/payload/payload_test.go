package payload_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	//nolint:depguard // only this test holds the generated structs against the table that they were made from
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// typedResources are those whose commands have structs.
var typedResources = []string{"task", "project", "package", "comment", "work-record", "company", "contact", "appointment"}

// TestEveryCommandHasItsStruct compares the names of the structs with the table.
func TestEveryCommandHasItsStruct(t *testing.T) {
	t.Parallel()
	want := map[string]bool{}
	for _, op := range factro.Operations() {
		if op.Writes() && slices.Contains(typedResources, op.Resource) {
			want[strings.ToUpper(op.Name[:1])+op.Name[1:]] = true
		}
	}
	have := map[string]bool{}
	for _, p := range payloads {
		have[reflect.TypeOf(p).Name()] = true
	}
	if !maps.Equal(have, want) {
		t.Errorf("there are %d structs, and %d commands in the table", len(have), len(want))
	}
}

// TestEveryQueryHasItsStruct compares the names of the structs with the table, of all resources.
func TestEveryQueryHasItsStruct(t *testing.T) {
	t.Parallel()
	var want, have []string
	for _, op := range factro.Operations() {
		if !op.Writes() {
			want = append(want, strings.ToLower(op.Name))
		}
	}
	for _, p := range queries {
		have = append(have, strings.ToLower(reflect.TypeOf(p).Name()))
	}
	if !slices.Equal(have, want) {
		t.Errorf("there are the structs %v, and the queries %v", have, want)
	}
}

// TestPayloadsAreTheTable: for each command and query, the JSON's keys, what is required, and the types are those of the table.
func TestPayloadsAreTheTable(t *testing.T) {
	t.Parallel()
	for _, p := range slices.Concat(payloads, queries) {
		name := p.Operation()
		op, ok := factro.Lookup(name.Name)
		if !ok || op.Resource != name.Resource {
			t.Errorf("%v is not in the table", name)
			continue
		}
		typ := reflect.TypeOf(p)
		for i, f := range op.Fields {
			if i >= typ.NumField() {
				t.Errorf("%s: %s is missing", op.Name, f.Name)
				break
			}
			key, options, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			optional := strings.HasPrefix(typ.Field(i).Type.Name(), "Optional[")
			if key != f.Name || optional == (f.Required && !f.Nullable) || (options == "omitzero") != optional {
				t.Errorf("%s: field %d is %s %s (optional: %t), want %+v", op.Name, i, key, typ.Field(i).Type, optional, f)
			}
		}
		if typ.NumField() != len(op.Fields) {
			t.Errorf("%s has %d fields, want %d", op.Name, typ.NumField(), len(op.Fields))
		}
		method, hasAnswer := typ.MethodByName("Answer")
		if hasAnswer != (op.Answer != factro.AnswerVoid) {
			t.Errorf("%s: has the method Answer: %t, but the answer is %q", op.Name, hasAnswer, op.Answer)
		}
		if hasAnswer && (method.Type.Out(0).Kind() == reflect.Slice) != (op.Answer == factro.AnswerList) {
			t.Errorf("%s: the answer is %s, want %s", op.Name, method.Type.Out(0), op.Answer)
		}
	}
}

// TestPayloadsAreValid fills each command and query, in full and with what is required only, and has the schema of its operation
// judge it. What comes back is the same.
func TestPayloadsAreValid(t *testing.T) {
	t.Parallel()
	compiler := jsonschema.NewCompiler()
	add := func(id string, raw []byte) {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(id, doc); err != nil {
			t.Fatal(err)
		}
	}
	add(factro.SchemasID, factro.Schemas)
	for _, p := range slices.Concat(payloads, queries) {
		op, _ := factro.Lookup(p.Operation().Name)
		raw, err := op.DataSchemaJSON()
		if err != nil {
			t.Fatal(err)
		}
		add("urn:test:"+op.Name, raw)
		schema, err := compiler.Compile("urn:test:" + op.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, how := range []filling{required, full, nulls} {
			v := reflect.New(reflect.TypeOf(p))
			fill(v.Elem(), how)
			data, err := json.Marshal(v.Interface())
			if err != nil {
				t.Errorf("%s: %v", op.Name, err)
				continue
			}
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			// Null is for those properties that may be; the struct lets any optional one be null.
			if err := schema.Validate(doc); err != nil && how != nulls {
				t.Errorf("%s: %v\n%s", op.Name, err, data)
			}
			back := reflect.New(reflect.TypeOf(p))
			if err := json.Unmarshal(data, back.Interface()); err != nil {
				t.Errorf("%s: %v", op.Name, err)
			}
			if again, err := json.Marshal(back.Interface()); err != nil || !bytes.Equal(again, data) {
				t.Errorf("%s: came back as %s, %v; want %s", op.Name, again, err, data)
			}
		}
	}
}

type filling int

const (
	required filling = iota // only what has to be there
	full                    // every property
	nulls                   // null wherever a property may be absent
)

// fill gives a value to what a command's JSON has to have, or to all of it.
func fill(v reflect.Value, how filling) {
	switch {
	case v.Type() == reflect.TypeFor[payload.File]():
		v.Set(reflect.ValueOf(payload.File{Name: "Plan größe.pdf", Data: []byte("x")}))
	case v.Type() == reflect.TypeFor[payload.Time]():
		v.Set(reflect.ValueOf(payload.Day(2026, 9, 1)))
	case strings.HasPrefix(v.Type().Name(), "Optional["):
		fillOptional(v, how)
	case v.Kind() == reflect.Struct:
		for _, field := range v.Fields() {
			fill(field, how)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), how)
	case v.Kind() == reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value, how)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("größe"), value)
	case v.Kind() == reflect.String:
		v.SetString(text[v.Type().Name()])
	case v.Kind() == reflect.Int64:
		v.SetInt(10)
	case v.Kind() == reflect.Float64:
		v.SetFloat(2.5)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	}
}

// text is a value for each type of strings: the last that is known of an enumeration.
var text = func() map[string]string {
	var doc struct {
		Defs map[string]struct {
			Enum []any `json:"enum"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(factro.Schemas, &doc); err != nil {
		panic(err)
	}
	values := map[string]string{"string": "09:30"}
	for name, schema := range doc.Defs {
		if n := len(schema.Enum); n > 0 {
			values[name], _ = schema.Enum[n-1].(string)
		}
	}
	return values
}()

func fillOptional(v reflect.Value, how filling) {
	switch how {
	case required:
	case nulls:
		if err := json.Unmarshal([]byte("null"), v.Addr().Interface()); err != nil {
			panic(err)
		}
	case full:
		get, _ := v.Type().MethodByName("Get")
		inner := reflect.New(get.Type.Out(0))
		if t := get.Type.Out(0); t.Kind() == reflect.Slice && holds(t.Elem(), v.Type()) { // a tree has to end somewhere
			how = required
		}
		fill(inner.Elem(), how)
		data, err := json.Marshal(inner.Interface())
		if err != nil {
			panic(err)
		}
		if err := json.Unmarshal(data, v.Addr().Interface()); err != nil {
			panic(err)
		}
	}
}

// holds tells whether a struct has a field of a type.
func holds(t, field reflect.Type) bool {
	return t.Kind() == reflect.Struct && slices.ContainsFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool { return f.Type == field })
}

// TestAnswers decodes what factro answers by the schemas, and says what it cannot decode.
func TestAnswers(t *testing.T) {
	t.Parallel()
	answer, err := json.Marshal(map[string]any{
		"id": "8d3f", "title": "Prüfung", "taskState": "wartend", "startDate": "2026-08-31T22:00:00.000Z", "endDate": nil, "number": 7,
		"plannedEffort": 2.5, "customFields": map[string]any{"größe": 12345678901234567}, "neuerSchlüssel": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := events.Result{Operation: "createTask", Outcome: events.Applied, Response: answer}
	task, err := payload.CreateTask{}.Answer(r)
	if err != nil || task.TaskState != "wartend" || !task.EndDate.IsNull() || !task.ExecutorID.IsZero() || task.PlannedEffort.Or(0) != 2.5 {
		t.Errorf("got %+v, %v", task, err)
	}
	change, err := json.Marshal(payload.UpdateTask{TaskID: "8d3f", CustomFields: task.CustomFields})
	if want := `{"taskId":"8d3f","customFields":{"größe":12345678901234567}}`; err != nil || string(change) != want {
		t.Errorf("got %s, %v; want %s", change, err, want)
	}
	for name, tt := range map[string]struct {
		change func(*events.Result)
		want   string
	}{
		"other operation": {func(r *events.Result) { r.Operation = "updateTask" }, `one of "updateTask", want createTask`},
		"rejected":        {func(r *events.Result) { r.Outcome = events.Rejected }, "was not applied but rejected"},
		"dry run":         {func(r *events.Result) { r.DryRun = true }, "a dry run calls nobody"},
		"left out":        {func(r *events.Result) { r.Response = nil }, payload.ErrNoAnswer.Error()},
		"null":            {func(r *events.Result) { r.Response = []byte(" null\n") }, payload.ErrNoAnswer.Error()},
		"two values":      {func(r *events.Result) { r.Response = []byte(`{"id":"a"} {}`) }, "more than one value"},
		"another form":    {func(r *events.Result) { r.Response = []byte(`{"title":1}`) }, "answer of createTask: json"},
	} {
		changed := r
		tt.change(&changed)
		if got, err := (payload.CreateTask{}).Answer(changed); !contains(err, tt.want) || got.ID != "" {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// TestQueryAnswers has each query decode what the schema of its answer allows, in full and with what is required only.
func TestQueryAnswers(t *testing.T) {
	t.Parallel()
	compiler := jsonschema.NewCompiler()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(factro.Schemas))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiler.AddResource(factro.SchemasID, doc); err != nil {
		t.Fatal(err)
	}
	for _, q := range queries {
		op, _ := factro.Lookup(q.Operation().Name)
		schema, err := compiler.Compile(factro.SchemasID + "#/$defs/" + op.AnswerSchema)
		if err != nil {
			t.Fatal(err)
		}
		decode := reflect.ValueOf(q).MethodByName("Answer")
		for _, how := range []filling{required, full} {
			want := reflect.New(decode.Type().Out(0)).Elem()
			fill(want, how)
			data, err := json.Marshal(want.Interface())
			if err != nil {
				t.Errorf("%s: %v", op.Name, err)
				continue
			}
			one := data
			if op.Answer == factro.AnswerList {
				one = bytes.TrimSuffix(bytes.TrimPrefix(data, []byte("[")), []byte("]"))
			}
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(one))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(doc); err != nil {
				t.Errorf("%s: %v\n%s", op.Name, err, data)
			}
			got := decode.Call([]reflect.Value{reflect.ValueOf(bytes.NewReader(data))})
			if again, err := json.Marshal(got[0].Interface()); err != nil || !got[1].IsNil() || !bytes.Equal(again, data) {
				t.Errorf("%s: got %s, %v %v; want %s", op.Name, again, got[1], err, data)
			}
		}
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	object := &events.ObjectRef{Bucket: events.Prefix(events.DefaultPrefix).FileBucket("acme"), Name: "größe"}
	for want, f := range map[string]payload.File{
		`{"name":"a","data":""}`:                                              {Name: "a", Data: []byte{}},
		`{"name":"a","contentType":"text/plain","data":"eA=="}`:               {Name: "a", ContentType: "text/plain", Data: []byte("x")},
		`{"name":"a","object":{"bucket":"FACTRO_FILES_ACME","name":"größe"}}`: {Name: "a", Object: object},
		"": {Name: "a", Data: []byte("x"), Object: object},
	} {
		got, err := json.Marshal(f)
		if string(got) != want || (err != nil) != (want == "") {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
}

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }
