package sim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

const unknownID = "99999999-0000-4000-8000-000000000000"

// The quirks of factro, one by one.

func TestErrorForms(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	closed := h.task("closed")
	h.core("PUT", "/tasks/"+closed+"/state", tenant.Object{"state": "closed"}).is(204)

	h.core("GET", "/tasks/"+unknownID, nil).is(404).form("text/plain").says(`Task with id "` + unknownID + `" not found`)
	h.core("GET", "/nope?x=1", nil).is(404).form("text/html").says("Cannot GET /core/nope<")
	h.core("PATCH", "/tasks/"+closed, nil).is(404).form("text/html").says("Cannot PATCH /core/tasks/" + closed)
	h.core("PUT", "/tasks/"+closed, tenant.Object{"title": "x"}).is(403).form("application/json").says(`{"message":"Task is closed"}`)
	open := h.task("open")
	h.core("PUT", "/tasks/"+open, tenant.Object{"officerId": nil}).is(403).form("application/json").says("officerId")
	h.core("POST", "/tasks", tenant.Object{"title": "x"}).is(400).form("application/json").says("targetParentId")

	h.key = "other"
	h.core("GET", "/users", nil).is(401).form("text/plain").says("Invalid CoreApiAccessToken provided!")
	h.key = "Bearer " + DefaultKey
	h.core("GET", "/users", nil).is(401)
}

func TestClosedTask(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	id := h.task("x")
	h.core("PUT", "/tasks/"+id+"/state", tenant.Object{"state": "closed"}).is(204)
	for _, write := range []struct {
		method, path string
		body         any
	}{
		{"PUT", "", tenant.Object{}},
		{"DELETE", "", nil},
		{"POST", "/comments", tenant.Object{"text": "x"}},
		{"POST", "/checklist", tenant.Object{"title": "x", "checked": true}},
		{"PUT", "/project", tenant.Object{"projectId": factro.ExampleProject}},
		{"DELETE", "/company", nil},
		{"PUT", "/company", tenant.Object{"companyId": factro.ExampleCompany}},
	} {
		h.core(write.method, "/tasks/"+id+write.path, write.body).is(403).says("Task is closed")
	}
	h.core("GET", "/tasks/"+id, nil).is(200)
	h.core("PUT", "/tasks/tasks", []tenant.Object{{"id": id, "title": "y"}}).is(403).says("Task is closed")
	h.core("PUT", "/tasks/"+id+"/state", tenant.Object{"state": "inProcess"}).is(204)
	h.core("PUT", "/tasks/"+id, tenant.Object{"title": "y"}).is(200)
}

func TestCreatesAreNotIdempotent(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	if a, b := h.task("same"), h.task("same"); a == b {
		t.Error("equal creates gave one object")
	}
	if n := h.sim.Count("task", func(o map[string]any) bool { return o["title"] == "same" }); n != 2 || h.sim.Count("task", nil) != 2 {
		t.Errorf("%d tasks called same, %d in all, want 2 and 2", n, h.sim.Count("task", nil))
	}
}

func TestExecutorDefault(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	for _, c := range []struct {
		body tenant.Object
		want any
	}{
		{tenant.Object{}, factro.ExampleUser}, {tenant.Object{"executorId": nil}, nil}, {tenant.Object{"executorId": factro.ExampleColleague}, factro.ExampleColleague},
	} {
		got := h.core("POST", "/tasks", c.body.With(tenant.Object{"title": "x", "targetParentId": factro.ExamplePackage})).is(200).object()
		if got["executorId"] != c.want {
			t.Errorf("executor %v, want %v", got["executorId"], c.want)
		}
		if target, echoed := got["targetParentId"]; !echoed || target != nil {
			t.Errorf("targetParentId is %v, want it echoed as null", target)
		}
	}
	id := h.task("x")
	if got := h.core("PUT", "/tasks/"+id, tenant.Object{"executorId": nil}).is(200).object(); got["executorId"] != nil {
		t.Errorf("null did not clear the executor: %v", got["executorId"])
	}
}

func TestPutIsPartial(t *testing.T) {
	t.Parallel()
	c := &clock{time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)}
	h := start(t, func(cfg *Config) { cfg.Now = c.now })
	id := h.core("POST", "/tasks", tenant.Object{
		"title": "x", "targetParentId": factro.ExamplePackage, "description": "kept", "customFields": tenant.Object{"a": 1, "b": "two"},
	}).is(200).object().ID()
	before := h.core("GET", "/tasks/"+id, nil).object()
	c.at = c.at.Add(time.Hour)
	if got := h.core("PUT", "/tasks/"+id, tenant.Object{}).is(200).object(); got["changeDate"] != before["changeDate"] {
		t.Error("an empty update changed the change date")
	}
	got := h.core("PUT", "/tasks/"+id, tenant.Object{"title": "y", "customFields": tenant.Object{"b": "three"}, "unheard": "of"}).is(200).object()
	if got["title"] != "y" || got["description"] != "kept" || got["changeDate"] == before["changeDate"] || got["unheard"] != nil {
		t.Errorf("got %v", got)
	}
	if fields := got["customFields"].(map[string]any); len(fields) != 1 {
		t.Errorf("custom fields are merged by default: %v", fields)
	}
	h.control("/variants", tenant.Object{"mergeCustomFields": true}).is(200)
	got = h.core("PUT", "/tasks/"+id, tenant.Object{"customFields": tenant.Object{"c": nil}}).is(200).object()
	if fields := got["customFields"].(map[string]any); len(fields) != 2 {
		t.Errorf("custom fields are not merged: %v", fields)
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	task := func(more tenant.Object) tenant.Object {
		return tenant.Object{"title": "x", "targetParentId": factro.ExamplePackage}.With(more)
	}
	for name, r := range map[string]reply{
		"parent":    h.core("POST", "/tasks", task(tenant.Object{"targetParentId": unknownID})),
		"executor":  h.core("POST", "/tasks", task(tenant.Object{"executorId": unknownID})),
		"officer":   h.core("POST", "/projects", tenant.Object{"title": "x", "officerId": unknownID}),
		"employee":  h.core("POST", "/appointments", tenant.Object{"employeeId": unknownID, "subject": "x", "startDate": "2026-09-01T08:00:00Z", "endDate": "2026-09-01T09:00:00Z"}),
		"reference": h.core("POST", "/work-records", tenant.Object{"startDate": "2026-09-01", "minutesWorked": 1, "utcOffset": 0, "bookedOnReferenceId": unknownID, "bookedOnReferenceType": "task"}),
		"tag":       h.core("PUT", "/companies/"+factro.ExampleCompany+"/tags", tenant.Object{"tagId": unknownID}),
		"team":      h.core("PUT", "/teams/"+unknownID+"/members", tenant.Object{"employeeId": factro.ExampleUser}),
		"delete":    h.core("DELETE", "/contacts/"+unknownID, nil),
	} {
		if r.status != 404 {
			t.Errorf("unknown %s: %d %s", name, r.status, r.body)
		}
	}
	h.core("POST", "/tasks", task(tenant.Object{"targetParentId": factro.ExampleProject})).is(200)
	h.control("/variants", tenant.Object{"packageParentsOnly": true}).is(200)
	h.core("POST", "/tasks", task(tenant.Object{"targetParentId": factro.ExampleProject})).is(404)
}

// TestDescriptionIsEnforced shows that requests are judged by openapi.yaml: types, required, nulls, enums, formats.
func TestDescriptionIsEnforced(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	task := tenant.Object{"title": "x", "targetParentId": factro.ExamplePackage}
	for name, body := range map[string]any{
		"missing": tenant.Object{"title": "x"}, "type": task.With(tenant.Object{"title": 5}), "null": task.With(tenant.Object{"description": nil}),
		"enum": task.With(tenant.Object{"taskPriority": 11}), "uuid": task.With(tenant.Object{"targetParentId": "abc"}),
		"date": task.With(tenant.Object{"startDate": "2026-08-31"}), "list": []any{task}, "json": `{"title":`, "two": `{} {}`,
	} {
		if r := h.core("POST", "/tasks", body); r.status != 400 {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	h.core("POST", "/tasks", task.With(tenant.Object{"colorScheme": nil, "executorId": nil})).is(200)
	h.core("GET", "/tasks/no-uuid", nil).is(400).says("taskId")
	h.core("GET", "/work-records?startDate=01.09.2026", nil).is(400).says("startDate")
	h.send(h.request("POST", corePath+"/tasks", "text/plain", []byte(`{"title":"x","targetParentId":"`+factro.ExamplePackage+`"}`))).is(400).says("Content-Type")
	h.send(h.request("POST", corePath+"/tasks", "", nil)).is(400)
	h.core("GET", "/tasks", tenant.Object{}).is(400) // a body where none is described
	contentType, body := multipartBody("a.txt", "text/plain", "x")
	h.send(h.request("POST", corePath+"/projects/"+factro.ExampleProject+"/documents", contentType, []byte(strings.ReplaceAll(string(body), `"file"`, `"data"`)))).is(400)
}

func TestVariantsOfAnswers(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	set := func(o tenant.Object) { t.Helper(); h.control("/variants", o).is(200) }
	bad, good := tenant.Object{"name": 5}, tenant.Object{"name": "x"}

	set(tenant.Object{"createStatus": 201})
	h.core("POST", "/companies", good).is(201)
	set(tenant.Object{"createStatus": 200, "invalidStatus": 422})
	for _, form := range tenant.InvalidBodies {
		set(tenant.Object{"invalidBody": form})
		r := h.core("POST", "/companies", bad).is(422).says("name")
		if form != "text" {
			r.form("application/json").says(`"` + form + `":`)
		} else {
			r.form("text/plain")
		}
	}
	id := h.task("x")
	set(tenant.Object{"voidBody": true})
	h.core("DELETE", "/tasks/"+id, nil).is(200).says(id)
	set(tenant.Object{"absentNull": true})
	if got := h.core("GET", "/companies/"+factro.ExampleCompany, nil).is(200).object(); len(got) != 7 {
		t.Errorf("nulls are left: %v", got)
	}
	set(tenant.Object{"reverseBatches": true, "partialStatus": 207})
	got := h.core("POST", "/companies/companies", []tenant.Object{{"name": "a"}, {"name": 1}, {"name": "b"}}).is(207).list()
	if len(got) != 2 || got[0]["name"] != "b" {
		t.Errorf("got %v", got)
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	tasks := []tenant.Object{
		{"title": "good", "targetParentId": factro.ExamplePackage},
		{"title": "no parent"},
		{"title": "unknown parent", "targetParentId": unknownID},
		{"title": "null", "targetParentId": factro.ExamplePackage, "officerId": nil},
	}
	if got := h.core("POST", "/tasks/tasks", tasks).is(200).list(); len(got) != 1 || h.sim.Count("task", nil) != 1 {
		t.Errorf("a partial batch made %v", got)
	}
	h.core("POST", "/tasks/tasks", tasks[1:]).is(400)

	projects := h.sim.Count("project", nil)
	h.core("POST", "/projects/projects", []tenant.Object{{"title": "a"}, {"title": "b", "officerId": unknownID}}).is(404)
	h.core("POST", "/projects/projects", []tenant.Object{{"title": "a"}, {}}).is(400)
	if n := h.sim.Count("project", nil); n != projects {
		t.Errorf("an atomic batch left %d projects behind", n-projects)
	}
	got := h.core("POST", "/projects/projects", []tenant.Object{{"title": "a"}, {"title": "b"}}).is(200).list()
	h.core("PUT", "/projects/projects", []tenant.Object{{"id": got[0].ID(), "title": "new"}, {"id": unknownID, "title": "x"}}).is(404)
	h.core("GET", "/projects/"+got[0].ID(), nil).is(200).says(`"title":"a"`)
}

// TestWholeBatches: what is not known of batches that take effect as a whole can be either way.
func TestWholeBatches(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	set := func(o tenant.Object) { t.Helper(); h.control("/variants", o).is(200) }
	two := []tenant.Object{{"title": "a"}, {"title": "b"}}
	set(tenant.Object{"atomicOrder": "reversed"})
	if got := h.core("POST", "/projects/projects", two).is(200).list(); len(got) != 2 || got[0]["title"] != "b" {
		t.Errorf("reversed are %v", got)
	}
	set(tenant.Object{"atomicOrder": "shuffled", "atomicAnswer": "ids"})
	if got := h.core("POST", "/projects/projects", two).is(200).list(); len(got) != 2 || len(got[0]) != 1 || got[0].ID() > got[1].ID() {
		t.Errorf("shuffled ids are %v", got)
	}
	set(tenant.Object{"atomicAnswer": "short"})
	if got := h.core("POST", "/projects/projects", two).is(200).list(); len(got) != 1 {
		t.Errorf("a short answer is %v", got)
	}
	projects := h.sim.Count("project", nil)
	set(tenant.Object{"atomicStatus": 409})
	h.core("POST", "/projects/projects", []tenant.Object{{"title": "a"}, {"title": "b", "officerId": unknownID}}).is(409)
	h.core("POST", "/projects/projects", []tenant.Object{{"title": "a"}, {}}).is(409)
	h.core("POST", "/projects", tenant.Object{}).is(400)
	set(tenant.Object{"atomicStatus": 0, "atomicMost": 1})
	h.core("POST", "/projects/projects", two).is(413)
	if n := h.sim.Count("project", nil); n != projects {
		t.Errorf("refused batches left %d projects behind", n-projects)
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	tag := h.create("/companies/tags", tenant.Object{"name": "same"})
	if tag == h.create("/companies/tags", tenant.Object{"name": "same"}) {
		t.Error("equal tags are one")
	}
	h.core("GET", "/companies/"+unknownID+"/tags", nil).is(200).says("[]")
	h.core("PUT", "/companies/"+unknownID+"/tags", tenant.Object{"tagId": tag}).is(404)
	h.core("DELETE", "/companies/"+factro.ExampleCompany+"/tags/"+tag, nil).is(204)
	h.core("DELETE", "/companies/"+unknownID+"/tags/"+tag, nil).is(204)
	h.core("PUT", "/companies/"+factro.ExampleCompany+"/tags", tenant.Object{"tagId": tag}).is(204)
	h.core("DELETE", "/companies/tags/"+tag, nil).is(200).says(tag) // also while it is in use
	h.core("GET", "/companies/"+factro.ExampleCompany+"/tags", nil).is(200).says("[]")
	h.core("PUT", "/companies/"+factro.ExampleCompany+"/tags", tenant.Object{"tagId": h.create("/tasks/tags", tenant.Object{"name": "x"})}).is(404)
}

func TestDates(t *testing.T) {
	t.Parallel()
	c := &clock{time.Date(2026, 10, 2, 8, 0, 0, 123456789, time.UTC)}
	h := start(t, func(cfg *Config) { cfg.Now = c.now })
	id := h.core("POST", "/tasks", tenant.Object{
		"title": "x", "targetParentId": factro.ExamplePackage, "startDate": "2026-09-01T00:00:00+02:00", "endDate": "2026-09-02T00:00:00Z",
	}).is(200).object().ID()
	task := h.core("GET", "/tasks/"+id, nil).object()
	for property, want := range map[string]string{
		"startDate": "2026-08-31T22:00:00.000Z", "endDate": "2026-09-02T00:00:00.000Z", "creationDate": "2026-10-02T08:00:00.123Z",
	} {
		if task[property] != want {
			t.Errorf("%s is %v, want %s", property, task[property], want)
		}
	}
	comment := h.core("POST", "/tasks/"+id+"/comments", tenant.Object{"text": "x"}).is(200).object()
	if _, isNumber := comment["changeDate"].(json.Number); !isNumber || comment["creationDate"] != "2026-10-02T08:00:00.123Z" {
		t.Errorf("creationDate %v, changeDate %v", comment["creationDate"], comment["changeDate"])
	}
	record := h.core("POST", "/work-records", tenant.Object{
		"startDate": "2026-09-01", "startTime": "09:00", "minutesWorked": 90, "utcOffset": 120, "bookedOnReferenceId": id,
		"bookedOnReferenceType": "task", "remainingTaskEffort": 2.5,
	}).is(200).object()
	if record["startDate"] != "2026-09-01" || record["title"] != "x" || record["createdAt"] != json.Number("1790928000123") {
		t.Errorf("got %v", record)
	}
	task = h.core("GET", "/tasks/"+id, nil).object()
	if task["realizedEffort"] != json.Number("1.5") || task["remainingEffort"] != json.Number("2.5") {
		t.Errorf("efforts %v and %v", task["realizedEffort"], task["remainingEffort"])
	}
	h.core("GET", "/work-records?startDate=2026-09-01&endDate=2026-09-01", nil).is(200).says(record.ID())
	h.core("GET", "/work-records/by-project/"+factro.ExampleProject+"?startDate=2026-09-02", nil).is(200).says("[]")
}

func TestLargeNumbersKeepTheirDigits(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.core("POST", "/tasks", `{"title":"x","targetParentId":"`+factro.ExamplePackage+`","customFields":{"n":12345678901234567890.125}}`).
		is(200).says("12345678901234567890.125")
}

func TestRowsLackAddresses(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	for _, path := range []string{"/users", "/companies", "/contacts"} {
		row := h.core("GET", path, nil).is(200).list()[0]
		one := h.core("GET", path+"/"+row.ID(), nil).is(200).object()
		_, inRow := row["street"]
		_, inOne := one["street"]
		if inRow || !inOne {
			t.Errorf("%s: street in row %v, in object %v", path, inRow, inOne)
		}
	}
}

func TestStructure(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	p := "/projects/" + factro.ExampleProject
	sub := h.create(p+"/packages", tenant.Object{"title": "sub", "parentPackageId": factro.ExamplePackage})
	task := h.core("POST", "/tasks", tenant.Object{"title": "x", "targetParentId": sub}).is(200).object()
	if task["projectId"] != factro.ExampleProject || task["parentPackageId"] != sub {
		t.Errorf("task is in %v, %v", task["projectId"], task["parentPackageId"])
	}
	want := `{"children":[{"children":[{"children":[{"children":[],"id":"` + task.ID() + `","type":"task"}],"id":"` + sub +
		`","type":"package"}],"id":"` + factro.ExamplePackage + `","type":"package"}],"id":"` + factro.ExampleProject + `","type":"project"}`
	h.core("GET", p+"/structure", nil).is(200).says(want)

	h.core("PUT", p+"/packages/"+factro.ExamplePackage+"/package", tenant.Object{"parentPackageId": sub}).is(400)
	other := h.create("/projects", tenant.Object{"title": "other"})
	h.core("PUT", p+"/packages/"+sub+"/project", tenant.Object{"projectId": other}).is(204)
	h.core("GET", "/tasks/"+task.ID(), nil).is(200).says(other)
	h.core("GET", p+"/packages/"+sub, nil).is(404)
	h.core("DELETE", "/tasks/"+task.ID()+"/package", nil).is(204)
	second := h.core("POST", "/tasks", tenant.Object{"title": "y", "targetParentId": other}).is(200).object().ID()
	h.core("PUT", "/tasks/"+second+"/project", tenant.Object{"projectId": other, "position": 0}).is(204)
	children := h.core("GET", "/projects/"+other+"/structure", nil).is(200).object()["children"].([]any)
	if len(children) != 3 || tenant.Object(children[0].(map[string]any)).ID() != second {
		t.Errorf("children %v", children)
	}
	h.core("DELETE", "/projects/"+other, nil).is(200)
	if n := h.sim.Count("task", nil); n != 0 {
		t.Errorf("%d tasks outlive their project", n)
	}
}

func TestTeamMembersGoByMembership(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	team := h.create("/teams", tenant.Object{"name": "x", "color": "#fff"})
	member := h.core("PUT", "/teams/"+team+"/members", tenant.Object{"employeeId": factro.ExampleColleague}).is(200).object().ID()
	h.core("DELETE", "/teams/"+team+"/members/"+factro.ExampleColleague, nil).is(404)
	h.core("DELETE", "/teams/"+team+"/members/"+member, nil).is(200).says(member)
}

func TestTeamRightsOfPackagesHaveNoPackagesSegment(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	team := h.create("/teams", tenant.Object{"name": "x", "color": "#fff"})
	h.core("PUT", "/teams/"+team+"/members", tenant.Object{"employeeId": factro.ExampleGuest}).is(200)
	h.core("PUT", "/projects/"+factro.ExampleProject+"/"+factro.ExamplePackage+"/team_read_rights", tenant.Object{"teamId": team}).is(200)
	h.core("GET", "/projects/"+factro.ExampleProject+"/packages/"+factro.ExamplePackage+"/read_rights", nil).is(200).
		says(factro.ExampleGuest).says("HasDirectPackageTeamReadRight")
	h.core("PUT", "/projects/"+factro.ExampleProject+"/packages/"+factro.ExamplePackage+"/team_read_rights", tenant.Object{"teamId": team}).is(404).form("text/html")
}

func TestEscapedPaths(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	if err := h.sim.Register(Webhook{URL: "http://127.0.0.1:1/", Action: "Über / alles"}); err != nil {
		t.Fatal(err)
	}
	h.sim.Fire("Über / alles", factro.ExampleProject)
	action, since := url.PathEscape("Über / alles"), url.PathEscape("2026-01-01T00:00:00.000Z")
	h.core("GET", "/webhook/payload/type/"+action+"/2026-01-01T00%3A00%3A00.000Z", nil).is(200).says("Über / alles")
	h.core("GET", "/webhook/payload/"+since, nil).is(200).says("Über / alles")
	h.core("GET", "/webhook/payload/type/Other/"+since, nil).is(200).says("[]")
	h.core("GET", "/webhook/payload/nonsense", nil).is(400)
	h.core("GET", "/tasks/by-project%2F"+factro.ExampleProject, nil).is(400) // one segment, so an id that is no uuid
}

func TestAppointments(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	body := tenant.Object{"employeeId": factro.ExampleUser, "startDate": "2026-09-01T08:00:00Z", "endDate": "2026-09-01T09:30:00Z"}
	h.core("POST", "/appointments", body).is(400).says("subject")
	h.core("POST", "/appointments", body.With(tenant.Object{"subject": "x", "endDate": "2026-09-01T07:00:00Z"})).is(400).says("endDate")
	got := h.core("POST", "/appointments", body.With(tenant.Object{"referencedTaskId": h.task("borrowed")})).is(200).object()
	if got["subject"] != "borrowed" || got["duration"] != json.Number("1.5") {
		t.Errorf("got %v", got)
	}
}

func TestShiftAccumulates(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	newTask := func(title, parent string) string {
		return h.create("/tasks", tenant.Object{"title": title, "targetParentId": parent, "endDate": "2026-09-01T22:00:00Z"})
	}
	first, next, closed := newTask("first", factro.ExamplePackage), newTask("next", factro.ExampleProject), newTask("closed", factro.ExamplePackage)
	h.core("PUT", "/tasks/"+first+"/task_connections", tenant.Object{"connectedTaskId": next, "isPredecessor": false, "isSuccessor": true}).is(204)
	h.core("PUT", "/tasks/"+closed+"/state", tenant.Object{"state": "closed"}).is(204)
	for range 2 {
		h.core("POST", "/projects/"+factro.ExampleProject+"/packages/"+factro.ExamplePackage+"/shift_with_successors", tenant.Object{"daysDelta": 1.5}).is(204)
	}
	for id, want := range map[string]string{first: "2026-09-04T22", next: "2026-09-04T22", closed: "2026-09-01T22"} {
		h.core("GET", "/tasks/"+id, nil).is(200).says(`"endDate":"` + want)
	}
}

func TestCommentsNest(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	path := "/tasks/" + h.task("x") + "/comments"
	parent := h.create(path, tenant.Object{"text": "question"})
	answer := h.core("POST", path, tenant.Object{"text": "answer", "parentCommentId": parent}).is(200).object()
	if answer["parentId"] != parent {
		t.Errorf("got %v", answer)
	}
	if list := h.core("GET", path, nil).is(200).list(); len(list) != 1 || len(list[0]["subComments"].([]any)) != 1 {
		t.Errorf("got %v", list)
	}
	h.core("GET", "/comments/"+answer.ID(), nil).is(200).says(`"referenceType":"task"`)
	h.core("POST", path, tenant.Object{"text": "x", "parentCommentId": unknownID}).is(404)
	h.core("DELETE", path+"/"+parent, nil).is(200).says(parent)
	h.core("GET", "/comments/"+answer.ID(), nil).is(404)
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.control("/key", tenant.Object{"key": "next"}).is(200)
	h.core("GET", "/users", nil).is(http.StatusUnauthorized)
	h.key = "next"
	h.core("GET", "/users", nil).is(200)
	h.sim.SetKey("")
	h.core("GET", "/users", nil).is(http.StatusUnauthorized)
	h.key = ""
	h.core("GET", "/users", nil).is(http.StatusUnauthorized)
}
