package echo_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/mirror/echo"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// resultEvent is the event of a result of the command c1 of urn:a, as a subscriber gets it.
func resultEvent(t testing.TB, r events.Result) event.Event {
	t.Helper()
	cmd := events.Command{Address: events.Address{Cloud: "acme", Operation: r.Operation}, Event: event.New()}
	cmd.Event.SetID("c1")
	cmd.Event.SetSource("urn:a")
	finished := at(1)
	r.StartedAt, r.FinishedAt = at(0), &finished
	e, err := translate.Result(cmd, r, "", at(1))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestFromResult(t *testing.T) {
	t.Parallel()
	applied := func(operation string, status int, resource, id, response, set string) events.Result {
		return events.Result{
			Operation: operation, Outcome: events.Applied, Status: status, Attempts: 1, Resource: &events.Resource{Type: resource, ID: id},
			Response: json.RawMessage(response), Set: json.RawMessage(set),
		}
	}
	change := func(r events.Result, by func(*events.Result)) events.Result {
		by(&r)
		return r
	}
	for name, tt := range map[string]struct {
		result events.Result
		want   string // of each object what was done, its kind, its id, the fields, and whether there is an answer; "?" for an unknown value
	}{
		"update": {applied("updateTask", 200, "task", "t", `{"id":"t","title":"a"}`, `{"title":"a"}`), "updates task t title=\"a\" answer"},
		"move": {
			applied("updateTask", 200, "task", "t", `{"id":"t"}`, `{"targetParentId":"p"}`), `updates task t parentPackageId=? projectId=? targetParentId="p" answer`,
		},
		"state":    {applied("setTaskState", 204, "task", "t", "", `{"taskState":"closed"}`), `updates task t pausedUntil=? taskState="closed"`},
		"until":    {applied("setTaskState", 204, "task", "t", "", `{"pausedUntil":"x","taskState":"closed"}`), `updates task t pausedUntil="x" taskState="closed"`},
		"a tag":    {applied("addTagToTask", 204, "task", "t", "", ""), "updates task t"},
		"too long": {change(applied("updateTask", 200, "task", "t", `{"id":"t"}`, ""), func(r *events.Result) { r.SetOmitted = []string{"title"} }), "updates task t title=? answer"},
		"omitted": {
			change(applied("updateTask", 200, "task", "t", "", `{"title":"a"}`), func(r *events.Result) { r.Omitted = true }), "updates task t title=\"a\"",
		},
		"another's answer": {applied("updateTask", 200, "task", "t", `{"id":"u"}`, `{"title":"a"}`), ""},
		"create":           {applied("createTask", 200, "task", "t", `{"id":"t"}`, `{"title":"a"}`), "creates task t title=\"a\" answer"},
		"found": {
			change(applied("createTask", 200, "task", "t", `{"id":"t"}`, `{"title":"a"}`), func(r *events.Result) { r.Adopted = true }), "doubtful creates task t title=\"a\" answer",
		},
		"existing":          {change(applied("createTask", 0, "task", "t", "", ""), func(r *events.Result) { r.Existing = true }), ""},
		"existing, updated": {change(applied("createTask", 200, "task", "t", `{"id":"t"}`, `{"title":"a"}`), func(r *events.Result) { r.Existing = true }), "updates task t title=\"a\" answer"},
		"a child":           {applied("updateChecklistEntry", 200, "task", "t", `{"id":"e","checked":true}`, `{"checked":true}`), "updates checklist-entry e checked=true answer"},
		"a comment":         {applied("createTaskComment", 200, "task", "t", `{"id":"k"}`, `{"text":"x"}`), "creates comment k text=\"x\" answer"},
		"a right":           {applied("grantTaskReadRight", 200, "task", "t", `{"id":"r"}`, ""), ""},
		"a template":        {applied("applyStructureTemplate", 200, "template", "x", `{"id":"p"}`, ""), ""},
		"delete":            {applied("deleteTask", 204, "task", "t", "", ""), "deletes task t"},
		"delete a package":  {applied("deletePackage", 200, "package", "p", `{"id":"p"}`, ""), "deletes package p"},
		"delete a child":    {applied("deleteChecklistEntry", 200, "task", "t", `{"id":"e"}`, ""), "deletes checklist-entry e"},
		"was deleted":       {applied("deleteTask", 404, "task", "t", "", ""), ""},
		"deleted before":    {change(applied("deleteTask", 404, "task", "t", "", ""), func(r *events.Result) { r.Attempts = 2 }), "doubtful deletes task t"},
		"list": {
			applied("updateTasks", 200, "task", "", `[{"id":"u"},{"id":"t"}]`, `[{"id":"t","title":"a"},{"id":"u","targetParentId":null},{"id":"v","title":"b"}]`),
			`updates task u parentPackageId=? projectId=? targetParentId=null answer; updates task t title="a" answer`,
		},
		"new list":                  {applied("createTasks", 200, "task", "", `[{"id":"u"},{"id":"t"}]`, ""), "creates task u answer; creates task t answer"},
		"partial, without answer":   {applied("updateTasks", 200, "task", "", "", `[{"id":"t","title":"a"}]`), ""},
		"as a whole without answer": {applied("updateProjects", 200, "project", "", "", `[{"id":"p","title":"a"}]`), `updates project p title="a"`},
		"rejected":                  {change(applied("updateTask", 400, "task", "t", "", ""), func(r *events.Result) { r.Outcome = events.Rejected }), ""},
		"nothing of factro's":       {applied("canary", 0, "bridge", "", "", ""), ""},
		"no operation of ours":      {applied("updateDream", 200, "task", "t", "", ""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := echo.FromResult(resultEvent(t, tt.result))
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, c := range got {
				if c.ID != "c1" || c.Source != "urn:a" || c.Operation != tt.result.Operation || !c.StartedAt.Equal(at(0)) || !c.FinishedAt.Equal(at(1)) {
					t.Errorf("the command is %+v", c)
				}
				all = append(all, describe(c))
			}
			if got := strings.Join(all, "; "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	if _, err := echo.FromResult(event.New()); err == nil {
		t.Error("an event that is no result is read as one")
	}
}

func describe(c echo.Command) string {
	parts := []string{map[echo.Action]string{echo.Updates: "updates", echo.Creates: "creates", echo.Deletes: "deletes"}[c.Action], c.Resource, c.EntityID}
	if c.Doubtful {
		parts = slices.Insert(parts, 0, "doubtful")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Set)) {
		value := "?"
		if c.Set[name] != nil {
			value = string(c.Set[name])
		}
		parts = append(parts, fmt.Sprintf("%s=%s", name, value))
	}
	if c.Answer != nil {
		parts = append(parts, "answer")
	}
	return strings.Join(parts, " ")
}
