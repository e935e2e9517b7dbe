package translate_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/translate"
)

func TestSet(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	for name, tt := range map[string]struct {
		operation, data, set string
		omitted              []string
	}{
		"as it is named":         {"updateTask", `{"taskId":"t","title":"a","endDate":null,"nonsense":1}`, `{"endDate":null,"title":"a"}`, nil},
		"digits stay":            {"updateTask", `{"taskId":"t","plannedEffort":1.50}`, `{"plannedEffort":1.50}`, nil},
		"under another name":     {"setTaskState", `{"taskId":"t","state":"closed"}`, `{"taskState":"closed"}`, nil},
		"moved to a project":     {"moveTaskToProject", `{"taskId":"t","projectId":"p","position":1}`, `{"parentPackageId":null,"projectId":"p"}`, nil},
		"moved to a package":     {"moveTaskToPackage", `{"taskId":"t","packageId":"p"}`, `{"parentPackageId":"p"}`, nil},
		"a package moved":        {"movePackageToProject", `{"fromProjectId":"a","packageId":"p","projectId":"b"}`, `{"parentPackageId":null,"projectId":"b"}`, nil},
		"without a body":         {"removeTaskFromProject", `{"taskId":"t"}`, `{"parentPackageId":null,"projectId":null}`, nil},
		"cleared":                {"removePackageCompany", `{"projectId":"a","packageId":"p"}`, `{"companyId":null}`, nil},
		"a contact":              {"setProjectContact", `{"projectId":"a","contactId":"c"}`, `{"companyContactId":"c"}`, nil},
		"a create":               {"createCompany", `{"name":"a"}`, `{"name":"a"}`, nil},
		"of a child":             {"updateChecklistEntry", `{"taskId":"t","entryId":"e","checked":true}`, `{"checked":true}`, nil},
		"a tag is no field":      {"addTagToTask", `{"taskId":"t","tagId":"g"}`, "", nil},
		"nor is a right":         {"grantTaskReadRight", `{"taskId":"t","employeeId":"e"}`, "", nil},
		"a delete sets nothing":  {"deleteTask", `{"taskId":"t"}`, "", nil},
		"nor does a shift":       {"shiftPackageWithSuccessors", `{"projectId":"a","packageId":"p","daysDelta":1}`, "", nil},
		"no file":                {"createTaskDocument", `{"taskId":"t","file":{"name":"a.txt","data":"YQ=="}}`, "", nil},
		"too large":              {"updateTask", `{"taskId":"t","title":"a","description":"` + long + `"}`, "", []string{"description", "title"}},
		"a list":                 {"updateCompanies", `{"items":[{"id":"1","name":"a"},{"id":"2","city":"b"}]}`, `[{"id":"1","name":"a"},{"city":"b","id":"2"}]`, nil},
		"a list that is large":   {"updateCompanies", `{"items":[{"id":"1","name":"` + long + `"}]}`, "", nil},
		"a list of new objects":  {"createCompanies", `{"items":[{"name":"a"}]}`, "", nil},
		"what is in the path":    {"updatePackage", `{"projectId":"a","packageId":"p","title":"x"}`, `{"title":"x"}`, nil},
		"the effort of the task": {"updateWorkRecord", `{"workRecordId":"w","isBilled":true,"remainingTaskEffort":2}`, `{"isBilled":true}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := lookup(t, tt.operation)
			call, err := translate.Command(op, []byte(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			set, omitted := translate.Set(op, call)
			if string(set) != tt.set || !slices.Equal(omitted, tt.omitted) {
				t.Errorf("%s, %v, want %s, %v", set, omitted, tt.set, tt.omitted)
			}
			if set != nil && !json.Valid(set) {
				t.Errorf("%s is no JSON", set)
			}
		})
	}
}
