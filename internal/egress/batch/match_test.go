package batch

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// TestMatch: each element gets the object that was made of it, or none. The order of the answer counts among equal elements alone.
func TestMatch(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		operation    string
		sent, answer []string
		want         []string // the ids, "" for none
	}{
		"in order":               {"createProject", []string{`{"title":"a"}`, `{"title":"b"}`}, []string{`{"id":"1","title":"a"}`, `{"id":"2","title":"b"}`}, []string{"1", "2"}},
		"in another order":       {"createProject", []string{`{"title":"a"}`, `{"title":"b"}`}, []string{`{"id":"1","title":"b"}`, `{"id":"2","title":"a"}`}, []string{"2", "1"}},
		"equal ones":             {"createProject", []string{`{"title":"a"}`, `{"title":"b"}`, `{"title":"a"}`}, []string{`{"id":"1","title":"b"}`, `{"id":"2","title":"a"}`, `{"id":"3","title":"a"}`}, []string{"2", "1", "3"}},
		"nothing is shown":       {"createProject", []string{`{"title":"a"}`, `{"title":"b"}`}, []string{`{"id":"1"}`, `{"id":"2"}`}, []string{"", ""}},
		"nothing, all equal":     {"createProject", []string{`{"title":"a"}`, `{"title":"a"}`}, []string{`{"id":"1"}`, `{"id":"2"}`}, []string{"1", "2"}},
		"only one field shown":   {"createProject", []string{`{"title":"a","priority":1}`, `{"title":"b","priority":2}`}, []string{`{"id":"1","title":"b","priority":"high"}`, `{"id":"2","title":"a","priority":"low"}`}, []string{"2", "1"}},
		"the other is not shown": {"createProject", []string{`{"title":"a","description":"x"}`, `{"title":"a","description":"y"}`, `{"title":"b"}`}, []string{`{"id":"1","title":"a"}`, `{"id":"2","title":"b"}`, `{"id":"3","title":"a"}`}, []string{"", "", "2"}},
		"in another form":        {"createWorkRecord", []string{`{"startDate":"2026-11-02","description":"a"}`, `{"startDate":"2026-11-03","description":"a"}`}, []string{`{"id":"1","startDate":"2026-11-03T00:00:00Z","description":"a"}`, `{"id":"2","startDate":"2026-11-02T00:00:00Z","description":"a"}`}, []string{"2", "1"}},
		"in an unknown form":     {"createWorkRecord", []string{`{"startDate":"2026-11-02","description":"a"}`, `{"startDate":"2026-11-03","description":"b"}`}, []string{`{"id":"1","startDate":"03.11.","description":"b"}`, `{"id":"2","startDate":"02.11.","description":"a"}`}, []string{"2", "1"}},
		"one sends less":         {"createProject", []string{`{"title":"a"}`, `{"title":"a","description":"x"}`}, []string{`{"id":"1","title":"a","description":"x"}`, `{"id":"2","title":"a","description":""}`}, []string{"2", "1"}},
		"one is rewritten":       {"createProject", []string{`{"title":"a","description":"x"}`, `{"title":"a"}`}, []string{`{"id":"1","title":"a","description":"<p>x</p>"}`, `{"id":"2","title":"a"}`}, []string{"", ""}},
		"one is missing":         {"createProject", []string{`{"title":"a"}`, `{"title":"b"}`}, []string{`{"id":"1","title":"a"}`}, []string{"", ""}},
		"one too many":           {"createProject", []string{`{"title":"a"}`, `{"title":"b"}`}, []string{`{"id":"1","title":"a"}`, `{"id":"2","title":"b"}`, `{"id":"3","title":"c"}`}, []string{"", ""}},
		"one id twice":           {"createProject", []string{`{"title":"a"}`, `{"title":"b"}`}, []string{`{"id":"1","title":"a"}`, `{"id":"1","title":"b"}`}, []string{"", ""}},
		"another object":         {"createProject", []string{`{"title":"a"}`, `{"title":"b"}`}, []string{`{"id":"1","title":"a"}`, `{"id":"2","title":"c"}`}, []string{"", ""}},
		"crossed fields":         {"createProject", []string{`{"title":"a","description":"x"}`, `{"title":"b","description":"y"}`}, []string{`{"id":"1","title":"a","description":"y"}`, `{"id":"2","title":"b","description":"x"}`}, []string{"", ""}},
		"changes":                {"updateProject", []string{`{"projectId":"p1","title":"a"}`, `{"projectId":"p2","title":"a"}`}, []string{`{"id":"p2"}`, `{"id":"p1"}`}, []string{"p1", "p2"}},
		"a change is not shown":  {"updateProject", []string{`{"projectId":"p1","title":"a"}`, `{"projectId":"p2","title":"a"}`}, []string{`{"id":"p2"}`, `{"id":"p3"}`}, []string{"", "p2"}},
	} {
		op, _ := factro.Lookup(tt.operation)
		var all []element
		for _, data := range tt.sent {
			e, ok := elementOf(op, []byte(data))
			if !ok {
				t.Fatalf("%s: %s is no element", name, data)
			}
			all = append(all, e)
		}
		for i, raw := range match(op, all, []byte("["+strings.Join(tt.answer, ",")+"]")) {
			var o struct{ ID string }
			if raw != nil {
				if err := json.Unmarshal(raw, &o); err != nil {
					t.Error(err)
				}
			}
			if o.ID != tt.want[i] {
				t.Errorf("%s: element %d has %q, want %q", name, i, o.ID, tt.want[i])
			}
		}
	}
}

// TestElement: what is in the path of one command is in the element of a list, and what all have in common in the path of the list.
func TestElement(t *testing.T) {
	t.Parallel()
	const id = "0f6d3f0a-7e0c-4a53-8f0e-6a8f3c1d9b47"
	for operation, tt := range map[string]struct{ data, target, body string }{
		"createAbsence": {`{"userId":"%s","type":"Planned","startDate":"2026-11-02T00:00:00Z","endDate":"2026-11-03T00:00:00Z"}`, "/users/absences", `"employeeId":"` + id + `"`},
		"updatePackage": {`{"projectId":"` + id + `","packageId":"%s","title":"x"}`, "/projects/" + id + "/packages/packages", `[{"id":"` + id + `","title":"x"}]`},
	} {
		op, _ := factro.Lookup(operation)
		by, _ := factro.Lookup(op.Batched.By)
		e, ok := elementOf(op, fmt.Appendf(nil, tt.data, id))
		call, err := callOf(by, []element{e})
		if !ok || err != nil || call.Target != tt.target || !strings.Contains(string(call.Body), tt.body) || strings.Contains(string(call.Body), "Id\":") != (operation == "createAbsence") {
			t.Errorf("%s: %t, %v, %s %s", operation, ok, err, call.Target, call.Body)
		}
	}
	op, _ := factro.Lookup("updateProject")
	if _, ok := elementOf(op, []byte(`{"projectId":"a","id":"b"}`)); ok {
		t.Error("a property that the sender has named is replaced")
	}
}
