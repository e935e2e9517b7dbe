package translate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

func operation(t *testing.T, name string) factro.Operation {
	t.Helper()
	op, known := factro.Lookup(name)
	if !known {
		t.Fatalf("there is no operation %s", name)
	}
	return op
}

// TestKeyRefs: external keys stand where ids stand, and nowhere else.
func TestKeyRefs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ operation, data, refs, resolved string }{
		{"setTaskState", `{"taskId":{"externalkey":"JIRA-17"},"state":"review"}`, `/taskId [task] JIRA-17`, `{"state":"review","taskId":"id-0"}`},
		{"createTask", `{"title":"T","targetParentId":{"externalkey":"Ä/b"},"executorId":{"externalkey":"E"}}`,
			`/executorId [user] E; /targetParentId [package project] Ä/b`, `{"executorId":"id-0","targetParentId":"id-1","title":"T"}`},
		{"updateTasks", `{"items":[{"id":"t-1"},{"id":{"externalkey":"K"},"officerId":{"externalkey":"O"}}]}`,
			`/items/1/id [task] K; /items/1/officerId [user] O`, `{"items":[{"id":"t-1"},{"id":"id-0","officerId":"id-1"}]}`},
		{"updateTask", `{"taskId":"t","customFields":{"a":{"externalkey":"K"}},"title":{"externalkey":"K"}}`, ``, ``},
		{"updateTask", `{"taskId":{"externalkey":"K","more":1}}`, ``, ``}, // the schema refuses it
		{"getTask", `{"taskId":{"externalkey":"K"}}`, `/taskId [task] K`, `{"taskId":"id-0"}`},
		{"getTask", `[]`, ``, ``},
	} {
		refs, err := translate.KeyRefs(operation(t, tt.operation), []byte(tt.data))
		if err != nil {
			t.Errorf("%s: %v", tt.data, err)
			continue
		}
		var have []string
		ids := map[string]string{}
		for i, r := range refs {
			have = append(have, fmt.Sprint(r.Pointer, " ", r.Kinds, " ", r.Key))
			ids[r.Pointer] = fmt.Sprint("id-", i)
		}
		if got := strings.Join(have, "; "); got != tt.refs {
			t.Errorf("%s: found %s, want %s", tt.data, got, tt.refs)
		}
		if tt.resolved == "" {
			tt.resolved = tt.data
		}
		if got, err := translate.WithIDs([]byte(tt.data), refs, ids); err != nil || string(got) != tt.resolved {
			t.Errorf("%s: became %s: %v", tt.data, got, err)
		}
	}
}

func TestBadKeyRefs(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"taskId":{"externalkey":""}}`:                                       "/taskId/externalkey: an empty external key",
		`{"taskId":{"externalkey":17}}`:                                       "/taskId/externalkey: a number, want a string",
		`{"taskId":{"externalkey":null}}`:                                     "/taskId/externalkey: null, want a string",
		`{"taskId":{"externalkey":"` + strings.Repeat("ä", 257) + `"}}`:       "/taskId/externalkey: an external key of 514 bytes, want at most 512",
		`{"taskId":{"externalkey":"\ud800"}}`:                                 "/taskId/externalkey: half of a surrogate pair, want valid text",
		`{"taskId":"t-1","executorId":{"externalkey":["a"]},"title":"title"}`: "/executorId/externalkey: an array, want a string",
	} {
		_, err := translate.KeyRefs(operation(t, "updateTask"), []byte(data))
		if bad, ok := errors.AsType[*translate.InvalidError](err); !ok || len(bad.Fields) != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want %q", data, err, want)
		}
	}
}

// TestUpdateOfCreate: a create's data becomes an update of the object; what only the create takes is refused, or dropped if the
// create requires it.
func TestUpdateOfCreate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ operation, data, target, body, refused string }{
		{"createTask", `{"title":"T","targetParentId":"p","executorId":null,"new":1.50}`, "/tasks/t-1", `{"executorId":null,"new":1.50,"targetParentId":"p","title":"T"}`, ""},
		{"createTask", `{"title":"T","targetParentId":"p","creationDate":"2026-01-01T00:00:00.000Z"}`, "", "", "/creationDate: updateTask does not take this property"},
		{"createPackage", `{"projectId":"p","title":"T"}`, "/projects/p/packages/t-1", `{"title":"T"}`, ""},
		{"createAbsence", `{"userId":"u","startDate":"2026-01-01","endDate":"2026-01-02","type":"Planned"}`, "/users/absences/t-1", `{"endDate":"2026-01-02","startDate":"2026-01-01","type":"Planned"}`, ""},
		{"createChecklistEntry", `{"taskId":"t","title":"T","checked":false}`, "/tasks/t/checklist/t-1", `{"checked":false,"title":"T"}`, ""},
	} {
		u, ok := operation(t, tt.operation).Upsert()
		if !ok {
			t.Fatalf("%s has no update", tt.operation)
		}
		err := translate.NotUpdated(u, []byte(tt.data))
		if tt.refused != "" {
			if err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("%s: the error is %v, want %q", tt.data, err, tt.refused)
			}
			continue
		}
		call, callErr := translate.Update(u, []byte(tt.data), "t-1")
		if err != nil || callErr != nil || call.Method != "PUT" || call.Target != tt.target || string(call.Body) != tt.body {
			t.Errorf("%s: %s %s %s: %v, %v", tt.data, call.Method, call.Target, call.Body, err, callErr)
		}
	}
}
