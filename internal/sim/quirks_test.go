package sim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const unknownID = "99999999-0000-4000-8000-000000000000"

// The quirks of factro, one by one.

func TestErrorForms(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	closed := h.task("closed")
	h.core("PUT", "/tasks/"+closed+"/state", object{"state": "closed"}).is(204)

	h.core("GET", "/tasks/"+unknownID, nil).is(404).form("text/plain").says(`Task with id "` + unknownID + `" not found`)
	h.core("GET", "/nope?x=1", nil).is(404).form("text/html").says("Cannot GET /core/nope<")
	h.core("PATCH", "/tasks/"+closed, nil).is(404).form("text/html").says("Cannot PATCH /core/tasks/" + closed)
	h.core("PUT", "/tasks/"+closed, object{"title": "x"}).is(403).form("application/json").says(`{"message":"Task is closed"}`)
	open := h.task("open")
	h.core("PUT", "/tasks/"+open, object{"officerId": nil}).is(403).form("application/json").says("officerId")
	h.core("POST", "/tasks", object{"title": "x"}).is(400).form("application/json").says("targetParentId")

	h.key = "other"
	h.core("GET", "/users", nil).is(401).form("text/plain").says("Invalid CoreApiAccessToken provided!")
	h.key = "Bearer " + DefaultKey
	h.core("GET", "/users", nil).is(401)
}

func TestClosedTask(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	id := h.task("x")
	h.core("PUT", "/tasks/"+id+"/state", object{"state": "closed"}).is(204)
	for _, write := range []struct {
		method, path string
		body         any
	}{
		{"PUT", "", object{}},
		{"DELETE", "", nil},
		{"POST", "/comments", object{"text": "x"}},
		{"POST", "/checklist", object{"title": "x", "checked": true}},
		{"PUT", "/project", object{"projectId": demoProject}},
		{"DELETE", "/company", nil},
		{"PUT", "/company", object{"companyId": demoCompany}},
	} {
		h.core(write.method, "/tasks/"+id+write.path, write.body).is(403).says(taskClosed)
	}
	h.core("GET", "/tasks/"+id, nil).is(200)
	h.core("PUT", "/tasks/tasks", []object{{"id": id, "title": "y"}}).is(403).says(taskClosed)
	h.core("PUT", "/tasks/"+id+"/state", object{"state": "inProcess"}).is(204)
	h.core("PUT", "/tasks/"+id, object{"title": "y"}).is(200)
}

func TestCreatesAreNotIdempotent(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	if a, b := h.task("same"), h.task("same"); a == b {
		t.Error("equal creates gave one object")
	}
	if n := h.sim.Count("task", func(o map[string]any) bool { return o["title"] == "same" }); n != 2 || h.sim.Tasks() != 2 {
		t.Errorf("%d tasks called same, %d in all, want 2 and 2", n, h.sim.Tasks())
	}
}

func TestExecutorDefault(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	for _, c := range []struct {
		body object
		want any
	}{
		{object{}, demoUser}, {object{"executorId": nil}, nil}, {object{"executorId": demoColleague}, demoColleague},
	} {
		got := h.core("POST", "/tasks", c.body.with(object{"title": "x", "targetParentId": demoPackage})).is(200).object()
		if got["executorId"] != c.want {
			t.Errorf("executor %v, want %v", got["executorId"], c.want)
		}
		if target, echoed := got["targetParentId"]; !echoed || target != nil {
			t.Errorf("targetParentId is %v, want it echoed as null", target)
		}
	}
	id := h.task("x")
	if got := h.core("PUT", "/tasks/"+id, object{"executorId": nil}).is(200).object(); got["executorId"] != nil {
		t.Errorf("null did not clear the executor: %v", got["executorId"])
	}
}

func TestPutIsPartial(t *testing.T) {
	t.Parallel()
	c := &clock{time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)}
	h := start(t, func(cfg *Config) { cfg.Now = c.now })
	id := h.core("POST", "/tasks", object{
		"title": "x", "targetParentId": demoPackage, "description": "kept", "customFields": object{"a": 1, "b": "two"},
	}).is(200).object().id()
	before := h.core("GET", "/tasks/"+id, nil).object()
	c.at = c.at.Add(time.Hour)
	if got := h.core("PUT", "/tasks/"+id, object{}).is(200).object(); got["changeDate"] != before["changeDate"] {
		t.Error("an empty update changed the change date")
	}
	got := h.core("PUT", "/tasks/"+id, object{"title": "y", "customFields": object{"b": "three"}, "unheard": "of"}).is(200).object()
	if got["title"] != "y" || got["description"] != "kept" || got["changeDate"] == before["changeDate"] || got["unheard"] != nil {
		t.Errorf("got %v", got)
	}
	if fields := got["customFields"].(map[string]any); len(fields) != 1 {
		t.Errorf("custom fields are merged by default: %v", fields)
	}
	h.control("/variants", object{"mergeCustomFields": true}).is(200)
	got = h.core("PUT", "/tasks/"+id, object{"customFields": object{"c": nil}}).is(200).object()
	if fields := got["customFields"].(map[string]any); len(fields) != 2 {
		t.Errorf("custom fields are not merged: %v", fields)
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	task := func(more object) object { return object{"title": "x", "targetParentId": demoPackage}.with(more) }
	for name, r := range map[string]reply{
		"parent":    h.core("POST", "/tasks", task(object{"targetParentId": unknownID})),
		"executor":  h.core("POST", "/tasks", task(object{"executorId": unknownID})),
		"officer":   h.core("POST", "/projects", object{"title": "x", "officerId": unknownID}),
		"employee":  h.core("POST", "/appointments", object{"employeeId": unknownID, "subject": "x", "startDate": "2026-09-01T08:00:00Z", "endDate": "2026-09-01T09:00:00Z"}),
		"reference": h.core("POST", "/work-records", object{"startDate": "2026-09-01", "minutesWorked": 1, "utcOffset": 0, "bookedOnReferenceId": unknownID, "bookedOnReferenceType": "task"}),
		"tag":       h.core("PUT", "/companies/"+demoCompany+"/tags", object{"tagId": unknownID}),
		"team":      h.core("PUT", "/teams/"+unknownID+"/members", object{"employeeId": demoUser}),
		"delete":    h.core("DELETE", "/contacts/"+unknownID, nil),
	} {
		if r.status != 404 {
			t.Errorf("unknown %s: %d %s", name, r.status, r.body)
		}
	}
	h.core("POST", "/tasks", task(object{"targetParentId": demoProject})).is(200)
	h.control("/variants", object{"packageParentsOnly": true}).is(200)
	h.core("POST", "/tasks", task(object{"targetParentId": demoProject})).is(404)
}

// TestDescriptionIsEnforced shows that requests are judged by openapi.yaml: types, required, nulls, enums, formats.
func TestDescriptionIsEnforced(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	task := object{"title": "x", "targetParentId": demoPackage}
	for name, body := range map[string]any{
		"missing": object{"title": "x"}, "type": task.with(object{"title": 5}), "null": task.with(object{"description": nil}),
		"enum": task.with(object{"taskPriority": 11}), "uuid": task.with(object{"targetParentId": "abc"}),
		"date": task.with(object{"startDate": "2026-08-31"}), "list": []any{task}, "json": `{"title":`, "two": `{} {}`,
	} {
		if r := h.core("POST", "/tasks", body); r.status != 400 {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	h.core("POST", "/tasks", task.with(object{"colorScheme": nil, "executorId": nil})).is(200)
	h.core("GET", "/tasks/no-uuid", nil).is(400).says("taskId")
	h.core("GET", "/work-records?startDate=01.09.2026", nil).is(400).says("startDate")
	h.send(h.request("POST", corePath+"/tasks", "text/plain", []byte(`{"title":"x","targetParentId":"`+demoPackage+`"}`))).is(400).says("Content-Type")
	h.send(h.request("POST", corePath+"/tasks", "", nil)).is(400)
	h.core("GET", "/tasks", object{}).is(400) // a body where none is described
	contentType, body := multipartBody("a.txt", "text/plain", "x")
	h.send(h.request("POST", corePath+"/projects/"+demoProject+"/documents", contentType, []byte(strings.ReplaceAll(string(body), `"file"`, `"data"`)))).is(400)
}

func TestVariantsOfAnswers(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	set := func(o object) { t.Helper(); h.control("/variants", o).is(200) }
	bad, good := object{"name": 5}, object{"name": "x"}

	set(object{"createStatus": 201})
	h.core("POST", "/companies", good).is(201)
	set(object{"createStatus": 200, "invalidStatus": 422})
	for _, form := range InvalidBodies {
		set(object{"invalidBody": form})
		r := h.core("POST", "/companies", bad).is(422).says("name")
		if form != "text" {
			r.form("application/json").says(`"` + form + `":`)
		} else {
			r.form("text/plain")
		}
	}
	id := h.task("x")
	set(object{"voidBody": true})
	h.core("DELETE", "/tasks/"+id, nil).is(200).says(id)
	set(object{"absentNull": true})
	if got := h.core("GET", "/companies/"+demoCompany, nil).is(200).object(); len(got) != 7 {
		t.Errorf("nulls are left: %v", got)
	}
	set(object{"reverseBatches": true, "partialStatus": 207})
	got := h.core("POST", "/companies/companies", []object{{"name": "a"}, {"name": 1}, {"name": "b"}}).is(207).list()
	if len(got) != 2 || got[0]["name"] != "b" {
		t.Errorf("got %v", got)
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	tasks := []object{
		{"title": "good", "targetParentId": demoPackage},
		{"title": "no parent"},
		{"title": "unknown parent", "targetParentId": unknownID},
		{"title": "null", "targetParentId": demoPackage, "officerId": nil},
	}
	if got := h.core("POST", "/tasks/tasks", tasks).is(200).list(); len(got) != 1 || h.sim.Tasks() != 1 {
		t.Errorf("a partial batch made %v", got)
	}
	h.core("POST", "/tasks/tasks", tasks[1:]).is(400)

	projects := h.sim.Count("project", nil)
	h.core("POST", "/projects/projects", []object{{"title": "a"}, {"title": "b", "officerId": unknownID}}).is(404)
	h.core("POST", "/projects/projects", []object{{"title": "a"}, {}}).is(400)
	if n := h.sim.Count("project", nil); n != projects {
		t.Errorf("an atomic batch left %d projects behind", n-projects)
	}
	got := h.core("POST", "/projects/projects", []object{{"title": "a"}, {"title": "b"}}).is(200).list()
	h.core("PUT", "/projects/projects", []object{{"id": got[0].id(), "title": "new"}, {"id": unknownID, "title": "x"}}).is(404)
	h.core("GET", "/projects/"+got[0].id(), nil).is(200).says(`"title":"a"`)
}

func TestTags(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	tag := h.create("/companies/tags", object{"name": "same"})
	if tag == h.create("/companies/tags", object{"name": "same"}) {
		t.Error("equal tags are one")
	}
	h.core("GET", "/companies/"+unknownID+"/tags", nil).is(200).says("[]")
	h.core("PUT", "/companies/"+unknownID+"/tags", object{"tagId": tag}).is(404)
	h.core("DELETE", "/companies/"+demoCompany+"/tags/"+tag, nil).is(204)
	h.core("DELETE", "/companies/"+unknownID+"/tags/"+tag, nil).is(204)
	h.core("PUT", "/companies/"+demoCompany+"/tags", object{"tagId": tag}).is(204)
	h.core("DELETE", "/companies/tags/"+tag, nil).is(200).says(tag) // also while it is in use
	h.core("GET", "/companies/"+demoCompany+"/tags", nil).is(200).says("[]")
	h.core("PUT", "/companies/"+demoCompany+"/tags", object{"tagId": h.create("/tasks/tags", object{"name": "x"})}).is(404)
}

func TestDates(t *testing.T) {
	t.Parallel()
	c := &clock{time.Date(2026, 10, 2, 8, 0, 0, 123456789, time.UTC)}
	h := start(t, func(cfg *Config) { cfg.Now = c.now })
	id := h.core("POST", "/tasks", object{
		"title": "x", "targetParentId": demoPackage, "startDate": "2026-09-01T00:00:00+02:00", "endDate": "2026-09-02T00:00:00Z",
	}).is(200).object().id()
	task := h.core("GET", "/tasks/"+id, nil).object()
	for property, want := range map[string]string{
		"startDate": "2026-08-31T22:00:00.000Z", "endDate": "2026-09-02T00:00:00.000Z", "creationDate": "2026-10-02T08:00:00.123Z",
	} {
		if task[property] != want {
			t.Errorf("%s is %v, want %s", property, task[property], want)
		}
	}
	comment := h.core("POST", "/tasks/"+id+"/comments", object{"text": "x"}).is(200).object()
	if _, isNumber := comment["changeDate"].(json.Number); !isNumber || comment["creationDate"] != "2026-10-02T08:00:00.123Z" {
		t.Errorf("creationDate %v, changeDate %v", comment["creationDate"], comment["changeDate"])
	}
	record := h.core("POST", "/work-records", object{
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
	h.core("GET", "/work-records?startDate=2026-09-01&endDate=2026-09-01", nil).is(200).says(record.id())
	h.core("GET", "/work-records/by-project/"+demoProject+"?startDate=2026-09-02", nil).is(200).says("[]")
}

func TestLargeNumbersKeepTheirDigits(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.core("POST", "/tasks", `{"title":"x","targetParentId":"`+demoPackage+`","customFields":{"n":12345678901234567890.125}}`).
		is(200).says("12345678901234567890.125")
}

func TestRowsLackAddresses(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	for _, path := range []string{"/users", "/companies", "/contacts"} {
		row := h.core("GET", path, nil).is(200).list()[0]
		one := h.core("GET", path+"/"+row.id(), nil).is(200).object()
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
	p := "/projects/" + demoProject
	sub := h.create(p+"/packages", object{"title": "sub", "parentPackageId": demoPackage})
	task := h.core("POST", "/tasks", object{"title": "x", "targetParentId": sub}).is(200).object()
	if task["projectId"] != demoProject || task["parentPackageId"] != sub {
		t.Errorf("task is in %v, %v", task["projectId"], task["parentPackageId"])
	}
	want := `{"children":[{"children":[{"children":[{"children":[],"id":"` + task.id() + `","type":"task"}],"id":"` + sub +
		`","type":"package"}],"id":"` + demoPackage + `","type":"package"}],"id":"` + demoProject + `","type":"project"}`
	h.core("GET", p+"/structure", nil).is(200).says(want)

	h.core("PUT", p+"/packages/"+demoPackage+"/package", object{"parentPackageId": sub}).is(400)
	other := h.create("/projects", object{"title": "other"})
	h.core("PUT", p+"/packages/"+sub+"/project", object{"projectId": other}).is(204)
	h.core("GET", "/tasks/"+task.id(), nil).is(200).says(other)
	h.core("GET", p+"/packages/"+sub, nil).is(404)
	h.core("DELETE", "/tasks/"+task.id()+"/package", nil).is(204)
	second := h.core("POST", "/tasks", object{"title": "y", "targetParentId": other}).is(200).object().id()
	h.core("PUT", "/tasks/"+second+"/project", object{"projectId": other, "position": 0}).is(204)
	children := h.core("GET", "/projects/"+other+"/structure", nil).is(200).object()["children"].([]any)
	if len(children) != 3 || object(children[0].(map[string]any)).id() != second {
		t.Errorf("children %v", children)
	}
	h.core("DELETE", "/projects/"+other, nil).is(200)
	if n := h.sim.Tasks(); n != 0 {
		t.Errorf("%d tasks outlive their project", n)
	}
}

func TestTeamMembersGoByMembership(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	team := h.create("/teams", object{"name": "x", "color": "#fff"})
	member := h.core("PUT", "/teams/"+team+"/members", object{"employeeId": demoColleague}).is(200).object().id()
	h.core("DELETE", "/teams/"+team+"/members/"+demoColleague, nil).is(404)
	h.core("DELETE", "/teams/"+team+"/members/"+member, nil).is(200).says(member)
}

func TestTeamRightsOfPackagesHaveNoPackagesSegment(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	team := h.create("/teams", object{"name": "x", "color": "#fff"})
	h.core("PUT", "/teams/"+team+"/members", object{"employeeId": demoGuest}).is(200)
	h.core("PUT", "/projects/"+demoProject+"/"+demoPackage+"/team_read_rights", object{"teamId": team}).is(200)
	h.core("GET", "/projects/"+demoProject+"/packages/"+demoPackage+"/read_rights", nil).is(200).
		says(demoGuest).says("HasDirectPackageTeamReadRight")
	h.core("PUT", "/projects/"+demoProject+"/packages/"+demoPackage+"/team_read_rights", object{"teamId": team}).is(404).form("text/html")
}

func TestEscapedPaths(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	if err := h.sim.Register(Webhook{URL: "http://127.0.0.1:1/", Action: "Über / alles"}); err != nil {
		t.Fatal(err)
	}
	h.sim.Fire("Über / alles", demoProject)
	action, since := url.PathEscape("Über / alles"), url.PathEscape("2026-01-01T00:00:00.000Z")
	h.core("GET", "/webhook/payload/type/"+action+"/2026-01-01T00%3A00%3A00.000Z", nil).is(200).says("Über / alles")
	h.core("GET", "/webhook/payload/"+since, nil).is(200).says("Über / alles")
	h.core("GET", "/webhook/payload/type/Other/"+since, nil).is(200).says("[]")
	h.core("GET", "/webhook/payload/nonsense", nil).is(400)
	h.core("GET", "/tasks/by-project%2F"+demoProject, nil).is(400) // one segment, so an id that is no uuid
}

func TestAppointments(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	body := object{"employeeId": demoUser, "startDate": "2026-09-01T08:00:00Z", "endDate": "2026-09-01T09:30:00Z"}
	h.core("POST", "/appointments", body).is(400).says("subject")
	h.core("POST", "/appointments", body.with(object{"subject": "x", "endDate": "2026-09-01T07:00:00Z"})).is(400).says("endDate")
	got := h.core("POST", "/appointments", body.with(object{"referencedTaskId": h.task("borrowed")})).is(200).object()
	if got["subject"] != "borrowed" || got["duration"] != json.Number("1.5") {
		t.Errorf("got %v", got)
	}
}

func TestShiftAccumulates(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	newTask := func(title, parent string) string {
		return h.create("/tasks", object{"title": title, "targetParentId": parent, "endDate": "2026-09-01T22:00:00Z"})
	}
	first, next, closed := newTask("first", demoPackage), newTask("next", demoProject), newTask("closed", demoPackage)
	h.core("PUT", "/tasks/"+first+"/task_connections", object{"connectedTaskId": next, "isPredecessor": false, "isSuccessor": true}).is(204)
	h.core("PUT", "/tasks/"+closed+"/state", object{"state": "closed"}).is(204)
	for range 2 {
		h.core("POST", "/projects/"+demoProject+"/packages/"+demoPackage+"/shift_with_successors", object{"daysDelta": 1.5}).is(204)
	}
	for id, want := range map[string]string{first: "2026-09-04T22", next: "2026-09-04T22", closed: "2026-09-01T22"} {
		h.core("GET", "/tasks/"+id, nil).is(200).says(`"endDate":"` + want)
	}
}

func TestCommentsNest(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	path := "/tasks/" + h.task("x") + "/comments"
	parent := h.create(path, object{"text": "question"})
	answer := h.core("POST", path, object{"text": "answer", "parentCommentId": parent}).is(200).object()
	if answer["parentId"] != parent {
		t.Errorf("got %v", answer)
	}
	if list := h.core("GET", path, nil).is(200).list(); len(list) != 1 || len(list[0]["subComments"].([]any)) != 1 {
		t.Errorf("got %v", list)
	}
	h.core("GET", "/comments/"+answer.id(), nil).is(200).says(`"referenceType":"task"`)
	h.core("POST", path, object{"text": "x", "parentCommentId": unknownID}).is(404)
	h.core("DELETE", path+"/"+parent, nil).is(200).says(parent)
	h.core("GET", "/comments/"+answer.id(), nil).is(404)
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.control("/key", object{"key": "next"}).is(200)
	h.core("GET", "/users", nil).is(http.StatusUnauthorized)
	h.key = "next"
	h.core("GET", "/users", nil).is(200)
	h.sim.SetKey("")
	h.core("GET", "/users", nil).is(http.StatusUnauthorized)
	h.key = ""
	h.core("GET", "/users", nil).is(http.StatusUnauthorized)
}
