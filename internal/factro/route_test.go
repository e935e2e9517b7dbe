package factro_test

import (
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

func TestEveryOperationIsRouted(t *testing.T) {
	t.Parallel()
	for _, op := range factro.Operations() {
		path := op.Path
		for _, p := range op.Params {
			path = strings.Replace(path, "{"+p.Name+"}", "any id", 1)
		}
		if got, ok := factro.Route(op.Method, path); !ok || got.Name != op.Name {
			t.Errorf("%s %s leads to %q", op.Method, path, got.Name)
		}
	}
}

func TestRoute(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"PUT /tasks/tasks":          "updateTasks", // a literal, not the id of a task
		"GET /tasks/tags":           "listTaskTags",
		"DELETE /tasks/t/package":   "removeTaskFromPackage",
		"DELETE /tasks/":            "",
		"DELETE /tasks":             "",
		"PATCH /tasks/t":            "",
		"GET /users/quota":          "getUserQuota",
		"GET /projects/p/a/b/c/d/e": "",
	} {
		method, path, _ := strings.Cut(path, " ")
		if got, _ := factro.Route(method, path); got.Name != want {
			t.Errorf("%s %s leads to %q, want %q", method, path, got.Name, want)
		}
	}
}
