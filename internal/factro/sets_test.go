package factro_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// TestSetsAreFields: what an operation sets are fields of the object that it changes.
func TestSetsAreFields(t *testing.T) {
	t.Parallel()
	found := 0
	for _, o := range factro.Operations() {
		if o.Sets == nil {
			continue
		}
		found++
		reader, _, known := factro.ReaderOf(o.Entity())
		if !known {
			t.Errorf("%s has x-sets, but nobody reads what it changes, which is %q", o.Name, o.Entity())
			continue
		}
		fields := slices.Clone(o.Sets.Cleared)
		for _, n := range o.Sets.Named {
			fields = append(fields, n.Field)
		}
		for _, c := range o.Sets.Computed {
			fields = append(append(fields, c.Of), c.Fields...)
		}
		for _, name := range fields {
			if !slices.Contains(reader.AnswerProperties(), name) {
				t.Errorf("x-sets of %s has %s, which is no field of a %s", o.Name, name, o.Entity())
			}
		}
	}
	if found < 20 {
		t.Errorf("%d operations have x-sets", found)
	}
}

func TestEntity(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"updateTask": "task", "createTasks": "task", "setTaskState": "task", "deleteTask": "task", "removeTaskFromProject": "task",
		"addTagToTask": "task", "createTaskComment": "comment", "deleteChecklistEntry": "checklist-entry", "createTaskTag": "tag",
		"grantTaskReadRight": "", "addTeamMember": "", "shiftPackageWithSuccessors": "", "deleteAbsence": "absence", "updateWorkRecords": "work-record",
	} {
		o, known := factro.Lookup(name)
		if got := o.Entity(); !known || got != want {
			t.Errorf("%s is about a %q, want %q", name, got, want)
		}
	}
}

func TestFieldsSet(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ operation, body, want string }{
		"the same name":    {"updateTask", `{"title":"a","nonsense":1}`, `{"title":"a"}`},
		"another name":     {"setTaskState", `{"state":"closed"}`, `{"taskState":"closed"}`},
		"no property sent": {"setTaskContact", `{}`, `{}`},
		"cleared":          {"moveTaskToProject", `{"projectId":"p"}`, `{"parentPackageId":null,"projectId":"p"}`},
		"deleted":          {"deleteTask", `{}`, `null`},
		"a right":          {"grantTaskReadRight", `{"employeeId":"e"}`, `{}`},
	} {
		o, _ := factro.Lookup(tt.operation)
		var body map[string]json.RawMessage
		if err := json.Unmarshal([]byte(tt.body), &body); err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(o.FieldsSet(body))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, tt.want)
		}
	}
}
