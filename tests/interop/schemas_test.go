package interop

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// verdict is what schemas.mjs says of a schema.
type verdict struct {
	Name, Error string
	Warnings    []string
	Good        []bool
}

// ajv has Ajv, verdicts nothing, compile schemas, and hold values against them.
func ajv(t *testing.T, values map[string][]json.RawMessage, schema func(name string) json.RawMessage) map[string]verdict {
	t.Helper()
	cmd, stdout, stderr := program(t, "node", "schemas.mjs")
	cmd.Dir = "js"
	var lines bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(values)) {
		line, err := json.Marshal(map[string]any{"name": name, "schema": schema(name), "values": append([]json.RawMessage{}, values[name]...)})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	cmd.Stdin = &lines
	if err := cmd.Run(); err != nil {
		t.Fatalf("schemas.mjs: %v\n%s%s", err, stdout, stderr)
	}
	out := map[string]verdict{}
	for line := range strings.Lines(stdout.String()) {
		var v verdict
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v in the line %s", err, line)
		}
		out[v.Name] = v
	}
	return out
}

func published(t *testing.T) func(name string) json.RawMessage {
	return func(name string) json.RawMessage {
		text, ok := schemas.Document(name)
		if !ok {
			t.Fatalf("there is no schema %s", name)
		}
		return text
	}
}

// A strict validator with its default settings compiles every schema without a warning, alone and beside the others, and
// says of every sample of a command what the bridge says.
func TestAjvTakesAllSchemas(t *testing.T) {
	t.Parallel()
	needNode(t)
	values, want := map[string][]json.RawMessage{}, map[string][]bool{}
	for _, name := range schemas.Names() {
		values[name] = nil
	}
	refused := 0
	for _, op := range factro.Operations() {
		name := schemas.NameOf(op.Name)
		for _, sample := range samples(t, op.Example()) {
			_, err := translate.Command(op, sample)
			values[name], want[name] = append(values[name], sample), append(want[name], err == nil)
			if err != nil {
				refused++
			}
		}
	}
	verdicts := ajv(t, values, published(t))
	for name := range values {
		v := verdicts[name]
		if v.Error != "" || len(v.Warnings) > 0 || v.Name != name {
			t.Errorf("%s: error %q, warnings %q", name, v.Error, v.Warnings)
		}
		for i, good := range v.Good {
			if good != want[name][i] {
				t.Errorf("%s: Ajv takes %s: %t, the bridge: %t", name, values[name][i], good, want[name][i])
			}
		}
	}
	if len(verdicts) < 400 || refused < 2*len(factro.Operations()) {
		t.Errorf("only %d schemas and %d samples that are refused", len(verdicts), refused)
	}
	t.Logf("%d schemas, %d samples refused", len(verdicts), refused)

	// What the binary prints is what was tested.
	for _, name := range []string{"event", "result.createTask", "createTask"} {
		cmd, stdout, stderr := program(t, bridgeBinary, "contract", "schema", name)
		if err := cmd.Run(); err != nil || !bytes.Equal(stdout.Bytes(), published(t)(name)) {
			t.Errorf("bridge contract schema %s: %v, %s", name, err, stderr)
		}
	}
}

// samples are an example, and its variants when each of its properties is dropped or of another type.
func samples(t *testing.T, example json.RawMessage) []json.RawMessage {
	t.Helper()
	out := []json.RawMessage{example, json.RawMessage(`[]`), json.RawMessage(`null`), json.RawMessage(`"Prüfung"`)}
	var fields map[string]any
	if err := json.Unmarshal(example, &fields); err != nil {
		t.Fatal(err)
	}
	add := func() {
		text, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, text)
	}
	for name, was := range fields {
		for _, is := range []any{map[string]any{"x": []any{}}, []any{[]any{}}} {
			fields[name] = is
			add()
		}
		delete(fields, name)
		add()
		fields[name] = was
	}
	return out
}

// The validator, as it is called here, refuses what the schemas once were, and says why.
func TestAjvIsStrict(t *testing.T) {
	t.Parallel()
	needNode(t)
	for keyword, complaint := range map[string]string{
		`"x-confidence":"observed"`: `unknown keyword: "x-confidence"`, `"format":"uuid"`: `unknown format "uuid"`,
		`"type":["string","number"]`: "allowUnionTypes", `"pattern":"\\-"`: "nvalid regular expression",
	} {
		v := ajv(t, map[string][]json.RawMessage{"probe": nil}, func(string) json.RawMessage {
			text := `{"type":"object","properties":{"a":{"type":"string",` + keyword + `}}}`
			return json.RawMessage(strings.Replace(text, `"type":"string","type"`, `"type"`, 1))
		})["probe"]
		if !strings.Contains(v.Error+strings.Join(v.Warnings, ""), complaint) {
			t.Errorf("%s: error %q, warnings %q", keyword, v.Error, v.Warnings)
		}
	}
}

// What a bridge really sends is of the schemas, by a strict validator, and what is spoilt is not.
func TestAjvTakesRealMessages(t *testing.T) {
	t.Parallel()
	needNode(t)
	s := startSite(t)
	s.deliver(t, `{"action":"TaskGeprüft","context":{"entityId":"00000000-0000-4000-8000-000000000001"}}`)
	event := s.stored(t, prefix.EventStream(cloud), "factro.event.demo.task.00000000-0000-4000-8000-000000000001.>").Data
	task := s.aTask(t, "Büroprüfung")
	applied := s.stored(t, prefix.ResultStream(cloud), "factro.result.demo.task.createTask.applied")
	s.natsCommand(t, "pub", "factro.command.demo.task.createTask", `{"title":7}`, "-H", "Nats-Msg-Id:invalid")
	s.natsCommand(t, "pub", "factro.command.demo.task.makeTask", `{}`, "-H", "Nats-Msg-Id:unknown")
	s.natsCommand(t, "pub", "factro.command.demo.task.updateTask", `{"taskId":"`+unknownTask+`","title":"x"}`, "-H", "Nats-Msg-Id:refused")
	s.natsCommand(t, "pub", "factro.command.demo.task.deleteTask", task, "-H", "Nats-Msg-Id:dry", "-H", "ce-specversion:1.0", "-H", "ce-id:dry",
		"-H", "ce-source:urn:test", "-H", "ce-type:com.factro.command.deleteTask", "-H", "ce-dryrun:true")
	rejected := func(operation string) []byte {
		return s.stored(t, prefix.ResultStream(cloud), "factro.result.demo.task."+operation+".rejected").Data
	}
	dry := s.stored(t, prefix.ResultStream(cloud), "factro.result.demo.task.deleteTask.applied")
	answer, err := s.nc.Request("factro.query.demo.task.getTask", []byte(task), patience)
	if err != nil {
		t.Fatal(err)
	}
	failed, err := s.nc.Request("factro.query.demo.task.getTask", []byte(`{"taskId":"`+unknownTask+`"}`), patience)
	if err != nil {
		t.Fatal(err)
	}
	for msg, want := range map[*nats.Header]string{&applied.Header: "result.createTask", &dry.Header: "dryrun"} {
		if got := msg.Get("ce-dataschema"); got != events.SchemaURI(want) {
			t.Errorf("the result of a command names the schema %q, want that of %s", got, want)
		}
	}

	values := map[string][]json.RawMessage{
		"event": {event}, "result.createTask": {applied.Data, rejected("createTask")}, "result.updateTask": {rejected("updateTask")},
		"result": {applied.Data, rejected("createTask"), rejected("makeTask"), rejected("updateTask"), dry.Data}, "dryrun": {dry.Data},
		"answer.getTask": {answer.Data}, "error": {failed.Data},
	}
	for name, v := range ajv(t, values, published(t)) {
		for i, good := range v.Good {
			if !good {
				t.Errorf("%s does not take %s", name, values[name][i])
			}
		}
		if v.Error != "" || len(v.Good) != len(values[name]) {
			t.Errorf("%s: %+v", name, v)
		}
	}

	spoilt := map[string][]json.RawMessage{
		"event": {json.RawMessage(`{"context":{}}`), swap(t, event, "entityId", "5")},
		"result.createTask": {
			swap(t, applied.Data, "operation", `"deleteTask"`), swap(t, applied.Data, "startedAt", `"gestern"`), swap(t, applied.Data, "outcome", `"done"`),
			swap(t, applied.Data, "response", `{"title":7}`), swap(t, rejected("createTask"), "detail", `[]`), swap(t, rejected("createTask"), "detail", `{"message":"x"}`),
			swap(t, rejected("createTask"), "detail", `[{"message":"x"}]`), swap(t, rejected("createTask"), "error", `null`),
		},
		"dryrun": {swap(t, dry.Data, "method", `"PATCH"`)}, "error": {swap(t, failed.Data, "code", `"other"`)},
	}
	for name, v := range ajv(t, spoilt, published(t)) {
		for i, good := range v.Good {
			if good {
				t.Errorf("%s takes %s", name, spoilt[name][i])
			}
		}
		if len(v.Good) != len(spoilt[name]) {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// swap gives each member of a name another value.
func swap(t *testing.T, text []byte, name, value string) json.RawMessage {
	t.Helper()
	found := false
	var walk func(v any)
	walk = func(v any) {
		fields, _ := v.(map[string]any)
		for key, e := range fields {
			if key == name {
				found = true
				fields[key] = json.RawMessage(value)
			}
			walk(e)
		}
	}
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	walk(doc)
	out, err := json.Marshal(doc)
	if err != nil || !found {
		t.Fatalf("%v, or there is no %s in %s", err, name, text)
	}
	return out
}

// The TypeScript that json-schema-to-typescript makes of the schemas compiles, all of it; a program with these types compiles
// under --strict, and each line that misuses them does not.
func TestTypesOfTheSchemas(t *testing.T) {
	t.Parallel()
	needNode(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "generated"), 0o755); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	for _, name := range schemas.Names() {
		line, err := json.Marshal(map[string]any{"name": name, "schema": published(t)(name)})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	generate, stdout, stderr := program(t, "node", "types.mjs", filepath.Join(dir, "generated"))
	generate.Dir, generate.Stdin = "js", &lines
	if err := generate.Run(); err != nil {
		t.Fatalf("types.mjs: %v\n%s%s", err, stdout, stderr)
	}
	programText, misuse := source(t, "program.ts"), source(t, "misuse.ts")
	if out, err := tsc(t, dir, map[string]string{"program.ts": programText, "misuse.ts": misuse}, "generated/*.ts"); err != nil {
		t.Fatalf("tsc: %v\n%s", err, out)
	}

	// Without the comments that expect them, each is a mistake.
	const expected = "// @ts-expect-error"
	out, err := tsc(t, dir, map[string]string{"misuse.ts": strings.ReplaceAll(misuse, expected, "// expected")})
	if got, want := strings.Count(out, "error TS"), strings.Count(misuse, expected); err == nil || got < want || want < 10 {
		t.Errorf("tsc: %v, %d mistakes, want %d:\n%s", err, got, want, out)
	}
}

func source(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("js", "types", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tsc compiles programs in a folder, and what else there is.
func tsc(t *testing.T, dir string, programs map[string]string, also ...string) (string, error) {
	t.Helper()
	compiler, err := filepath.Abs("js/node_modules/typescript/bin/tsc")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{compiler, "--strict", "--noEmit", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler", "--types", ""}
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	for _, pattern := range also {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		args = append(args, files...)
	}
	cmd, stdout, _ := program(t, "node", args...)
	cmd.Dir = dir
	err = cmd.Run()
	return stdout.String(), err
}
