package factro

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestEntityFields: each field that holds an id has the kinds of its objects, or is known to refer to none.
func TestEntityFields(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, op := range Operations() {
		for _, f := range op.Fields {
			used[f.Name] = true
			if (f.Format == "uuid" || strings.HasSuffix(f.Name, "Id")) && f.Name != "customerId" && len(FieldEntities(f.Name)) == 0 {
				t.Errorf("%s: nothing says what %s refers to", op.Name, f.Name)
			}
		}
	}
	for name := range maps.Keys(entityFields) {
		if !used[name] {
			t.Errorf("no operation has the field %s", name)
		}
	}
}

// TestMakes: the kind of what each create makes is known.
func TestMakes(t *testing.T) {
	t.Parallel()
	for _, op := range Operations() {
		if strings.HasPrefix(op.Name, "create") && op.Answer == AnswerObject && op.Makes() == "" {
			t.Errorf("%s: the kind of what it makes is not known", op.Name)
		}
		if kind := op.Makes(); kind != "" && !slices.Contains(EntityKinds(), kind) {
			t.Errorf("%s makes a %s, which no field refers to", op.Name, kind)
		}
		if kind, field := op.Deletes(); strings.HasPrefix(op.Name, "delete") != (kind != "" && field != "") {
			t.Errorf("%s deletes %q", op.Name, kind)
		}
	}
	for kind, want := range map[string]string{"task": "getTask", "package": "getPackageById", "comment": "getComment", "absence": "", "tag": ""} {
		if op, _, _ := ReaderOf(kind); op.Name != want {
			t.Errorf("a %s is read by %q, want %q", kind, op.Name, want)
		}
	}
}

// TestUpsert: the fields of each create that its update does not take.
func TestUpsert(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"createTask": "updateTask taskId [] [creationDate]", "createChecklistEntry": "updateChecklistEntry entryId [] []",
		"createProject": "updateProject projectId [] []", "createPackage": "updatePackage packageId [] [parentPackageId]",
		"createCompany": "updateCompany companyId [] []", "createContact": "updateContact contactId [] []",
		"createUser": "updateUser userId [] []", "createAbsence": "updateAbsence absenceId [userId] []",
		"createWorkRecord": "updateWorkRecord workRecordId [] []", "createAppointment": "updateAppointment appointmentId [employeeId] []",
		"createTeam":       "updateTeam teamId [] []",
		"createCustomView": "updateCustomView customViewId [referenceId referenceType sourceTemplateId] []",
	}
	have := map[string]string{}
	for _, op := range Operations() {
		if u, ok := op.Upsert(); ok {
			have[op.Name] = fmt.Sprint(u.Update.Name, " ", u.ID, " ", u.Dropped, " ", u.Refused)
			if u.Update.AnswerSchema != op.AnswerSchema {
				t.Errorf("%s answers with %s, and its update with %s", op.Name, op.AnswerSchema, u.Update.AnswerSchema)
			}
		}
	}
	if !maps.Equal(have, want) {
		t.Errorf("the updates are %v, want %v", have, want)
	}
}
