package factro_test

import (
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

func TestLaneKey(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ operation, data, want string }{
		"an update":             {"updateTask", `{"taskId":"t-1","title":"x"}`, "task/taskId/t-1"},
		"the state of the same": {"setTaskState", `{"state":"done","taskId":"t-1"}`, "task/taskId/t-1"},
		"of another resource":   {"updatePackage", `{"projectId":"p","packageId":"t-1"}`, "package/packageId/t-1"},
		"a named child":         {"deleteTaskComment", `{"taskId":"t-1","commentId":"c-1"}`, "task/commentId/c-1"},
		"a relation":            {"removeTagFromTask", `{"taskId":"t-1","tagId":"x"}`, "task/taskId/t-1"},
		"by another name":       {"updateTask", `{"taskId":{ "externalkey" : "JIRA-17"}}`, "task/externalkey/JIRA-17"},
		"another by that name":  {"setTaskState", `{"state":"done","taskId":{"externalkey":"JIRA-17"}}`, "task/externalkey/JIRA-17"},
		"a child by its name":   {"deleteTaskComment", `{"taskId":"t-1","commentId":{"externalkey":"c"}}`, "comment/externalkey/c"},
		"no name":               {"updateTask", `{"taskId":{"externalkey":"JIRA-17","x":1}}`, `task/taskId/{"externalkey":"JIRA-17","x":1}`},
		"in capitals":           {"updateTask", `{"taskId":"0F5AC7E0-0000-4000-8000-00000000000A"}`, "task/taskId/0f5ac7e0-0000-4000-8000-00000000000a"},
		"no UUID":               {"updateTask", `{"taskId":"T-1"}`, "task/taskId/T-1"},
		"a create":              {"createTask", `{"title":"x","targetParentId":"p"}`, ""},
		"a create under one":    {"createTaskComment", `{"taskId":"t-1","text":"x"}`, ""},
		"a list":                {"updateTasks", `{"items":[]}`, ""},
		"without it":            {"updateTask", `{"title":"x"}`, ""},
		"null":                  {"updateTask", `{"taskId":null}`, ""},
		"empty":                 {"updateTask", `{"taskId":""}`, ""},
		"no JSON":               {"updateTask", `{`, ""},
	} {
		op, ok := factro.Lookup(tt.operation)
		if !ok {
			t.Fatal(tt.operation)
		}
		if got := op.LaneKey([]byte(tt.data)); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
