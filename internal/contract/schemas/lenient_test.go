package schemas

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// The schema of an answer refuses no value for being new, and demands nothing that may be null.
func TestAnswersAreTakenAsTheyCome(t *testing.T) {
	t.Parallel()
	values := 0
	for name, schema := range answerComponents() {
		var walk func(strict, loose any)
		walk = func(strict, loose any) {
			if list, ok := strict.([]any); ok {
				others, _ := loose.([]any)
				for i := range list {
					walk(list[i], others[i])
				}
			}
			s, ok := strict.(map[string]any)
			if !ok {
				return
			}
			l, _ := loose.(map[string]any)
			if s["enum"] != nil {
				values++
				if l["enum"] != nil || fmt.Sprint(l["examples"]) != fmt.Sprint(s["enum"]) {
					t.Errorf("%s: %v became %v", name, s, l)
				}
			}
			required, _ := l["required"].([]any)
			properties, _ := MergedProperties(s)
			for _, field := range required {
				if Nullable(properties[fmt.Sprint(field)]) {
					t.Errorf("%s demands %v, which may be null", name, field)
				}
			}
			for _, key := range []string{"allOf", "anyOf", "oneOf", "items", "additionalProperties"} {
				walk(s[key], l[key])
			}
			fields, _ := s["properties"].(map[string]any)
			loosened, _ := l["properties"].(map[string]any)
			for field := range fields {
				walk(fields[field], loosened[field])
			}
		}
		walk(Components()[strings.TrimPrefix(name, AnswerPrefix)], schema)
	}
	if values < 5 {
		t.Errorf("only %d enumerations were found: the search is broken", values)
	}
}

func TestLenient(t *testing.T) {
	t.Parallel()
	strict := map[string]any{
		"type": "object", "required": ordered.List{"id", "state", "parent", "note", "enum"},
		"properties": map[string]any{
			"id":     map[string]any{"type": "string"},
			"state":  map[string]any{"allOf": ordered.List{Ref("TaskState")}},
			"parent": map[string]any{"anyOf": ordered.List{Ref("Task"), map[string]any{"type": "null"}}},
			"note":   map[string]any{"type": ordered.List{"string", "null"}, "enum": ordered.List{"kurz", "länger", nil}, "description": "Notiz."},
			"enum":   map[string]any{"type": "array", "items": map[string]any{"enum": ordered.List{1, 2}}},
		},
	}
	before := fmt.Sprint(strict)
	want := map[string]any{
		"type": "object", "required": ordered.List{"id", "state", "enum"},
		"properties": map[string]any{
			"id":     map[string]any{"type": "string"},
			"state":  map[string]any{"allOf": ordered.List{Ref("answer.TaskState")}},
			"parent": map[string]any{"anyOf": ordered.List{Ref("answer.Task"), map[string]any{"type": "null"}}},
			"note": map[string]any{
				"type": ordered.List{"string", "null"}, "examples": ordered.List{"kurz", "länger", nil},
				"description": "Notiz. Known values, there may be others: kurz, länger.",
			},
			"enum": map[string]any{"type": "array", "items": map[string]any{
				"examples": ordered.List{1, 2}, "description": "Known values, there may be others: 1, 2.",
			}},
		},
	}
	if got := lenient(strict); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if after := fmt.Sprint(strict); after != before {
		t.Errorf("the schema itself became %s", after)
	}
}

// A new value in an answer is no mistake, nor is an absent null. A command of the same value is refused before factro is
// asked.
func TestNewValuesInAnswersAndCommands(t *testing.T) {
	t.Parallel()
	op, _ := factro.Lookup("getTask")
	var task map[string]any
	if err := json.Unmarshal(op.ExampleAnswer(), &task); err != nil {
		t.Fatal(err)
	}
	if _, there := task["taskState"].(string); !there {
		t.Fatalf("the example has no taskState: %v", task)
	}
	task["taskState"] = "geprüft"
	for field, v := range task {
		if v == nil {
			delete(task, field)
		}
	}
	answer, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	if err := compiledSchema(t, AnswerPrefix+op.Name).Validate(value(t, answer)); err != nil {
		t.Errorf("%s: %v", answer, err)
	}
	result := `{"operation":"updateTask","outcome":"applied","attempts":1,"startedAt":"2026-09-01T09:30:00Z","response":` + string(answer) + `}`
	if err := compiledSchema(t, ResultName+".updateTask").Validate(value(t, []byte(result))); err != nil {
		t.Errorf("%s: %v", result, err)
	}
	s := compiledSchema(t, "setTaskState")
	for state, good := range map[string]bool{"closed": true, "geprüft": false} {
		command := `{"taskId":"00000000-0000-4000-8000-000000000001","state":"` + state + `"}`
		if err := s.Validate(value(t, []byte(command))); (err == nil) != good {
			t.Errorf("%s: %v", command, err)
		}
	}
}
