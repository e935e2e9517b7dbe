package factro

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// entityFields says which kinds of objects the ids are of, by the names of the fields that hold them. A field whose name is not here
// refers to no object as far as is known. Where factro takes several kinds, each of them may be meant.
var entityFields = map[string][]string{
	"absenceId": {"absence"}, "appointmentId": {"appointment"}, "assigneeId": {"user"},
	"bookedOnReferenceId": {"task", "package", "project"}, "commentId": {"comment"}, "companyContactId": {"contact"},
	"companyId": {"company"}, "connectedTaskId": {"task"}, "contactId": {"contact"},
	"createdInContextOfReferenceId": {"task", "package", "project"}, "customViewId": {"custom-view"}, "documentId": {"document"},
	"employeeId": {"user"}, "entryId": {"checklist-entry"}, "executorId": {"user"}, "fromProjectId": {"project"}, "memberId": {"user"},
	"noteId": {"note"}, "officerId": {"user"}, "packageId": {"package"}, "parentCommentId": {"comment"},
	"parentPackageId": {"package"}, "projectId": {"project"}, "referenceId": {"project", "package"}, "referencedTaskId": {"task"},
	"sourceTemplateId": {"template"}, "substituteId": {"user"}, "tagId": {"tag"}, "targetParentId": {"package", "project"},
	"taskId": {"task"}, "teamId": {"team"}, "templateId": {"template"}, "userId": {"user"}, "workEmployeeId": {"user"},
	"workRecordId": {"work-record"},
}

// entitySchemas are the kinds of objects by the schemas of the answers that show them.
var entitySchemas = map[string]string{
	"Absence": "absence", "Appointment": "appointment", "ChecklistEntry": "checklist-entry", "Comment": "comment", "Company": "company",
	"Contact": "contact", "CustomView": "custom-view", "Document": "document", "NoteComment": "comment", "Package": "package",
	"PackageComment": "comment", "Project": "project", "ProjectComment": "comment", "Tag": "tag", "Task": "task",
	"TaskComment": "comment", "Team": "team", "User": "user", "WorkRecord": "work-record", "WorkRecordComment": "comment",
}

// EntityKinds are the kinds of objects that a field can refer to, sorted.
func EntityKinds() []string {
	kinds := map[string]bool{}
	for _, of := range entityFields {
		for _, kind := range of {
			kinds[kind] = true
		}
	}
	return slices.Sorted(maps.Keys(kinds))
}

// FieldEntities are the kinds of objects that a field of the data refers to by their ids; none if it does not, or if that is not
// known.
func FieldEntities(field string) []string { return entityFields[field] }

// ItemEntities is FieldEntities for a field of an element of a list. There, id is that of the object which the element changes.
func (o Operation) ItemEntities(field string) []string {
	if field == "id" {
		return []string{o.Resource}
	}
	return entityFields[field]
}

// Makes is the kind of the object that an operation creates, "" if it creates none, or a list.
func (o Operation) Makes() string {
	if o.Method != http.MethodPost || o.Answer != AnswerObject {
		return ""
	}
	return entitySchemas[o.AnswerSchema]
}

// Deletes is the kind of the object that an operation deletes, and the field that holds its id; "" if it deletes none.
func (o Operation) Deletes() (kind, field string) {
	if o.Method != http.MethodDelete || !strings.HasPrefix(o.Name, "delete") {
		return "", ""
	}
	return o.lastEntity()
}

// lastEntity is the kind of the object that is named at the end of the path, and the field that holds its id.
func (o Operation) lastEntity() (kind, field string) {
	for _, p := range o.Params {
		if kinds := entityFields[p.Field]; len(kinds) == 1 && strings.HasSuffix(o.Path, "/{"+p.Name+"}") {
			return kinds[0], p.Field
		}
	}
	return "", ""
}

// ReaderOf is the operation that reads an object by its id alone, and the field for the id. Not every kind has one.
func ReaderOf(kind string) (op Operation, field string, known bool) {
	for _, o := range operations {
		if o.Method != http.MethodGet || o.Answer != AnswerObject || len(o.Params) != 1 {
			continue
		}
		if of, field := o.lastEntity(); of == kind {
			return o, field, true
		}
	}
	return Operation{}, "", false
}

// Upsert is how the create of an object that exists already becomes an update.
type Upsert struct {
	// Update is the operation, ID its field for the id of the object.
	Update Operation
	ID     string
	// Dropped are fields that the create requires, such as the parent, and that the update has no place for. They say where the
	// object is created, so they are left out of the update.
	Dropped []string
	// Refused are the other fields that only the create takes. They cannot be dropped without misleading the sender.
	Refused []string
}

// Upsert returns the update of the objects that an operation creates. Not every kind has one.
func (o Operation) Upsert() (Upsert, bool) {
	stem, isCreate := strings.CutPrefix(o.Name, "create")
	update, known := Lookup("update" + stem)
	kind, id := update.lastEntity()
	if !isCreate || !known || o.Makes() == "" || kind != o.Makes() {
		return Upsert{}, false
	}
	u := Upsert{Update: update, ID: id}
	for _, f := range o.Fields {
		switch taken := slices.ContainsFunc(update.Fields, func(g Field) bool { return g.Name == f.Name }); {
		case taken:
		case f.Required:
			u.Dropped = append(u.Dropped, f.Name)
		default:
			u.Refused = append(u.Refused, f.Name)
		}
	}
	return u, true
}
