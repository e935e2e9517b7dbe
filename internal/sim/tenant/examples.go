package tenant

import (
	"cmp"
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// exampleSteps create the example tenant. Each is an operation with its own example as the body, and the id of the new object. So the
// other examples can refer to the objects from the answers in the documents.
var exampleSteps = []struct{ operation, id string }{
	{"createProject", factro.ExampleOtherProject},
	{"createPackage", factro.ExampleOtherPackage},
	{"createTask", factro.ExampleTask},
	{"createTask", factro.ExampleOtherTask},
	{"createChecklistEntry", factro.ExampleChecklistEntry},
	{"createTeam", factro.ExampleTeam},
	{"addTeamMember", factro.ExampleMember},
	{"createWorkRecord", factro.ExampleWorkRecord},
	{"createAbsence", factro.ExampleAbsence},
	{"createAppointment", factro.ExampleAppointment},
	{"createCustomView", factro.ExampleCustomView},
	{"createTaskComment", factro.ExampleTaskComment},
	{"createProjectComment", factro.ExampleProjectComment},
	{"createPackageComment", factro.ExamplePackageComment},
	{"createWorkRecordComment", factro.ExampleWorkRecordComment},
	{"createNoteComment", factro.ExampleNoteComment},
	{"createTaskDocument", factro.ExampleTaskDocument},
	{"createProjectDocument", factro.ExampleProjectDocument},
	{"createPackageDocument", factro.ExamplePackageDocument},
	{"createTaskTag", factro.ExampleTaskTag},
	{"createProjectTag", factro.ExampleProjectTag},
	{"createCompanyTag", factro.ExampleCompanyTag},
	{"createEmployeeTag", factro.ExampleUserTag},
	{"addTaskConnection", ""},
	{"addTagToTask", ""},
	{"addTagToProject", ""},
	{"addTagToCompany", ""},
	{"addTagToEmployee", ""},
	{"addSubstitute", ""},
	{"grantTaskReadRight", ""},
	{"grantStructureTemplateReadRight", ""},
	{"grantStructureTemplateWriteRight", ""},
	{"grantTaskTemplateReadRight", ""},
	{"grantTaskTemplateWriteRight", ""},
}

// addExamples carries out the steps on a store, without a request and without an event.
func (n *Tenant) addExamples() error {
	for _, step := range exampleSteps {
		op, known := factro.Lookup(step.operation)
		if !known {
			return fmt.Errorf("there is no operation %s", step.operation)
		}
		t := n.tx(&Call{op: op, params: map[string]string{}}, Env{})
		t.Config.NewID = func() string { return cmp.Or(step.id, n.config.NewID()) }
		var data Object
		if err := Decode(op.Example(), &data); err != nil {
			return fmt.Errorf("%s: %w", op.Name, err)
		}
		for _, p := range op.Params {
			t.params[p.Name] = data.Str(p.Field)
			delete(data, p.Field)
		}
		if op.Body == factro.BodyMultipart {
			file := Object(data["file"].(map[string]any)) //nolint:errcheck // the example of an upload has one
			t.file = &upload{file.Str("name"), file.Str("contentType"), 0}
		} else {
			t.body = map[string]any(data)
		}
		if _, err := n.handlers[op.Name](t); err != nil {
			return fmt.Errorf("%s: %w", op.Name, err)
		}
	}
	return nil
}
