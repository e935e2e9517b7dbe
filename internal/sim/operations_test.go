package sim

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

// world is a tenant with one of everything, and the ids of it by the names that paths and bodies use.
type world struct {
	h    *harness
	ids  map[string]string            // by property or parameter
	hang map[string]map[string]string // by the path's first segment, for parameters that mean something else below each
}

func newWorld(t *testing.T) *world {
	t.Helper()
	h := start(t, func(c *Config) { c.Quota = 100000 })
	task, other := h.task("first"), h.task("second")
	p := "/projects/" + factro.ExampleProject
	pk := p + "/packages/" + factro.ExamplePackage
	sub := h.create(p+"/packages", tenant.Object{"title": "sub"})
	team := h.create("/teams", tenant.Object{"name": "team", "color": "#3366ff"})
	member := h.core("PUT", "/teams/"+team+"/members", tenant.Object{"employeeId": factro.ExampleColleague}).is(200).object().ID()
	h.core("PUT", "/tasks/"+task+"/task_connections", tenant.Object{"connectedTaskId": other, "isPredecessor": false, "isSuccessor": true}).is(204)
	record := h.create("/work-records", tenant.Object{
		"startDate": "2026-09-01", "minutesWorked": 90, "utcOffset": 120, "bookedOnReferenceId": task, "bookedOnReferenceType": "task",
	})
	absence := h.create("/users/"+factro.ExampleUser+"/absences", tenant.Object{
		"startDate": "2026-09-01T00:00:00Z", "endDate": "2026-09-02T00:00:00Z", "type": "Planned",
	})
	appointment := h.create("/appointments", tenant.Object{
		"employeeId": factro.ExampleUser, "startDate": "2026-09-01T08:00:00Z", "endDate": "2026-09-01T09:30:00Z", "subject": "talk",
	})
	view := h.create("/custom-views", tenant.Object{
		"referenceId": factro.ExampleProject, "referenceType": "Project", "title": "view", "sourceTemplateId": factro.ExampleViewTemplate,
	})
	w := &world{h: h, hang: map[string]map[string]string{}, ids: map[string]string{
		"taskId": task, "connectedTaskId": other, "projectId": factro.ExampleProject, "packageId": factro.ExamplePackage, "userId": factro.ExampleUser,
		"companyId": factro.ExampleCompany, "contactId": factro.ExampleContact, "companyContactId": factro.ExampleContact, "employeeId": factro.ExampleColleague,
		"substituteId": factro.ExampleColleague, "teamId": team, "memberId": member, "workRecordId": record, "absenceId": absence,
		"appointmentId": appointment, "noteId": factro.ExampleNote, "customViewId": view, "sourceTemplateId": factro.ExampleViewTemplate,
		"position": "1", "startDate": "2026-01-01T00:00:00.000Z", "actionType": "Ünbekannt / mit Leerzeichen",
		"targetParentId": factro.ExamplePackage, "parentPackageId": sub, "officerId": factro.ExampleUser, "executorId": factro.ExampleColleague,
		"assigneeId": factro.ExampleUser, "workEmployeeId": factro.ExampleUser, "referencedTaskId": task, "bookedOnReferenceId": task,
		"createdInContextOfReferenceId": factro.ExampleProject, "referenceId": factro.ExampleProject,
		"entryId": h.create("/tasks/"+task+"/checklist", tenant.Object{"title": "entry", "checked": false}),
	}}
	for segment, owner := range map[string]string{
		"tasks": "/tasks/" + task, "projects": p, "package": pk,
		"work-records": "/work-records/" + record, "note": "/note/" + factro.ExampleNote,
	} {
		w.hang[segment] = map[string]string{"commentId": h.create(owner+"/comments", tenant.Object{"text": "<p>hello</p>"})}
		if segment == "work-records" || segment == "note" {
			continue
		}
		contentType, body := multipartBody("a.txt", "text/plain", "hello")
		w.hang[segment]["documentId"] = h.send(h.request("POST", corePath+owner+"/documents", contentType, body)).is(200).object().ID()
	}
	for segment, owner := range map[string]string{"tasks": task, "projects": factro.ExampleProject, "companies": factro.ExampleCompany, "users": factro.ExampleUser} {
		tag := h.create("/"+segment+"/tags", tenant.Object{"name": "tag"})
		h.core("PUT", "/"+segment+"/"+owner+"/tags", tenant.Object{"tagId": tag}).is(204)
		if w.hang[segment] == nil {
			w.hang[segment] = map[string]string{}
		}
		w.hang[segment]["tagId"] = tag
	}
	return w
}

// id is the id for a parameter or property of an operation.
func (w *world) id(op factro.Operation, name string) string {
	segment := strings.Split(op.Path, "/")[1]
	switch {
	case strings.HasPrefix(op.Path, "/projects/{projectId}/packages/{packageId}/"):
		segment = "package"
	case segment == "comments" || segment == "documents":
		segment = "tasks"
	}
	switch {
	case name == "templateId" && strings.HasPrefix(op.Path, "/templates/structure"):
		return factro.ExampleStructureTemplate
	case name == "templateId":
		return factro.ExampleTaskTemplate
	case name == "parentCommentId":
		return w.hang[segment]["commentId"]
	case w.hang[segment][name] != "":
		return w.hang[segment][name]
	case name == "id": // of an element of a batch
		return w.ids[map[string]string{
			"TaskBatchChange": "taskId", "ProjectBatchChange": "projectId", "PackageBatchChange": "packageId",
			"CompanyBatchChange": "companyId", "ContactBatchChange": "contactId", "UserBatchChange": "userId",
			"AbsenceBatchChange": "absenceId", "AppointmentBatchChange": "appointmentId", "WorkRecordBatchChange": "workRecordId",
		}[op.BodySchema]]
	}
	return w.ids[name]
}

// body builds a body from a schema of the description: what is required, or all there is.
func (w *world) body(op factro.Operation, name string, s *openapi3.Schema, all bool) any {
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.AllOf) > 0:
		out := map[string]any{}
		for _, part := range s.AllOf {
			body := w.body(op, name, part.Value, all)
			m, isObject := body.(map[string]any)
			if !isObject {
				return body
			}
			maps.Copy(out, m)
		}
		return out
	case len(s.AnyOf) > 0:
		return w.body(op, name, s.AnyOf[0].Value, all)
	case s.Type.Includes("object"):
		out := map[string]any{}
		for property, p := range s.Properties {
			if all && property != "sourceTemplateId" || slices.Contains(s.Required, property) {
				out[property] = w.body(op, property, p.Value, all)
			}
		}
		if op.BodySchema == "NewAppointment" {
			out["subject"] = "talk" // or a task, which the description cannot say
		}
		if out["isPredecessor"] != nil {
			out["isPredecessor"] = false // both is refused
		}
		return out
	case s.Type.Includes("array"):
		return []any{}
	case s.Type.Includes("boolean"):
		return true
	case s.Type.Includes("integer"), s.Type.Includes("number"):
		return 1
	case s.Format == "date-time":
		if name == "endDate" {
			return "2026-09-03T22:00:00.000Z"
		}
		return "2026-09-02T22:00:00.000Z"
	case s.Format == "date":
		return "2026-09-02"
	case s.Format == "uuid":
		if id := w.id(op, name); id != "" {
			return id
		}
		return factro.ExampleUser
	case s.Pattern != "":
		return "09:00"
	}
	return "text"
}

func (w *world) path(op factro.Operation) string {
	path := op.Path
	for _, p := range op.Params {
		path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(w.id(op, p.Name)))
	}
	return corePath + path
}

// TestEveryOperation calls all operations of the table with a smallest and a largest valid request, and once more with
// nulls left out of the answers, each on a fresh copy of the same world. It holds the answers against the description.
func TestEveryOperation(t *testing.T) { //nolint:tparallel // the operations share one world, which each puts back
	t.Parallel()
	w := newWorld(t)
	doc, err := description()
	if err != nil {
		t.Fatal(err)
	}
	original := w.h.sim.tenant
	for _, op := range factro.Operations() { //nolint:paralleltest // see above
		for _, mode := range []string{"smallest", "largest", "without nulls"} {
			t.Run(op.Name+"/"+mode, func(t *testing.T) {
				all := mode == "largest"
				w.h.sim.tenant, w.h.sim.variants.AbsentNull = original.Clone(), mode == "without nulls"
				contentType, data := "", []byte(nil)
				if op.BodySchema != "" {
					body := w.body(op, "", doc.Components.Schemas[op.BodySchema].Value, all)
					if op.Body == factro.BodyList {
						body = []any{body}
					}
					contentType = "application/json"
					if data, err = json.Marshal(body); err != nil {
						t.Fatal(err)
					}
				}
				if op.Body == factro.BodyMultipart {
					contentType, data = multipartBody("Übersicht.pdf", "application/pdf", "%PDF")
				}
				r := w.h.request(op.Method, w.path(op), contentType, data)
				got := w.h.send(r)
				want := 200
				if op.Answer == factro.AnswerVoid {
					want = 204
				}
				if got.status != want {
					t.Fatalf("%s %s %s: %d %s", op.Method, r.URL, data, got.status, got.body)
				}
				if err := checkResponse(r, op, got.status, got.header, got.body); err != nil {
					t.Errorf("answer breaks the description: %v\n%s", err, got.body)
				}
				if op.Answer == factro.AnswerList && bytes.Equal(got.body, []byte("[]")) &&
					!strings.HasPrefix(op.Name, "listWebhook") && !strings.Contains(op.Name, "Substitut") {
					t.Errorf("the list is empty, so it shows nothing")
				}
			})
		}
	}
}

// TestNoRequestBreaksTheSimulator puts odd values into each property of each body and unknown ids into each path. The
// answer may be a refusal, never a failure of the simulator itself.
func TestNoRequestBreaksTheSimulator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doc, err := description()
	if err != nil {
		t.Fatal(err)
	}
	original := w.h.sim.tenant
	odds := []any{unknownID, strings.Repeat("ü", 300), -1, 1e300, []any{nil}, map[string]any{"x": nil}, ""}
	judge := func(op factro.Operation, r reply, sent any) {
		t.Helper()
		if !slices.Contains([]int{200, 204, 400, 403, 404}, r.status) {
			t.Errorf("%s with %v: %d %s", op.Name, sent, r.status, r.body)
		}
		w.h.sim.tenant = original.Clone()
	}
	for _, op := range factro.Operations() {
		unknown := corePath + op.Path
		for _, p := range op.Params {
			unknown = strings.ReplaceAll(unknown, "{"+p.Name+"}", unknownID)
		}
		if op.BodySchema == "" {
			judge(op, w.h.call(op.Method, unknown, nil), "unknown ids")
			continue
		}
		valid := w.body(op, "", doc.Components.Schemas[op.BodySchema].Value, true).(map[string]any)
		send := func(path string, body map[string]any) {
			if op.Body == factro.BodyList {
				judge(op, w.h.call(op.Method, path, []any{body, body}), body)
				return
			}
			judge(op, w.h.call(op.Method, path, body), body)
		}
		send(unknown, valid)
		for i, property := range slices.Sorted(maps.Keys(valid)) {
			for _, odd := range []any{nil, odds[i%len(odds)]} {
				body := maps.Clone(valid)
				body[property] = odd
				send(w.path(op), body)
			}
		}
	}
}
