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
		"by another name":       {"updateTask", `{"taskId":{ "externalkey" : "JIRA-17"}}`, `task/taskId/{"externalkey":"JIRA-17"}`},
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
