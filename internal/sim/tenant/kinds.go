package tenant

// stamp is the form of the times in a kind.
type stamp int

const (
	noStamp stamp = iota
	isoStamp
	msStamp
)

// kind describes a kind of object, for creating, changing and deleting it. The fields cover what many kinds have in common. The
// function complete covers the special cases.
type kind struct {
	noun   string // in messages
	schema string // component schema of the answers
	action string // begins the names of its events, see actions.go; empty fires nothing
	// defaults are the initial values of a new object. All other nullable properties start with null.
	defaults Object
	// creator is the property that gets the key's user.
	creator string
	// created and changed are the properties with times. Their form depends on the kind, as at factro.
	created, changed           string
	createdStamp, changedStamp stamp
	numbered                   bool // has a running number
	noMandant                  bool
	// refs are the properties that must name an existing object of a kind.
	refs map[string]string
	// renamed are properties with another name in a body. With an empty name they are not stored.
	renamed map[string]string
	// notInRows are properties that a list leaves out.
	notInRows []string
	// owns are the kinds that are deleted with an object, with the property that names the owner.
	owns [][2]string
	// complete validates and completes an object before it is stored. before is nil for a new object, body is the request's body.
	complete func(t *tx, before, after, body Object) error
}

var kinds map[string]kind

func init() { //nolint:gochecknoinits // the table and the functions in it refer to each other
	person := map[string]string{"officerId": "user", "companyId": "company", "companyContactId": "contact"}
	kinds = map[string]kind{
		"task": {
			noun: "Task", schema: "Task", action: "Task", creator: "creatorId", numbered: true,
			created: "creationDate", createdStamp: isoStamp, changed: "changeDate", changedStamp: isoStamp,
			defaults: Object{"taskState": "planned", "isMilestone": false, "urgency": "normal", "customFields": map[string]any{}},
			refs:     map[string]string{"officerId": "user", "executorId": "user", "companyId": "company", "companyContactId": "contact"},
			renamed:  map[string]string{"targetParentId": ""},
			owns: [][2]string{
				{"comment", "referenceId"},
				{"document", "referenceId"},
				{"checklistEntry", "taskId"},
				{"right", "referenceId"},
				{"taskConnection", "taskId"},
				{"taskConnection", "referenceId"},
				{"tagLink", "ownerId"},
			},
			complete: completeTask,
		},
		"project": {
			noun: "Project", schema: "Project", action: "Project", creator: "creatorId", numbered: true,
			created: "creationDate", createdStamp: isoStamp, changed: "changeDate", changedStamp: isoStamp,
			defaults: Object{"projectState": "planned", "isArchived": false, "isDraft": false, "customFields": map[string]any{}},
			refs:     person,
			owns: [][2]string{
				{"task", "projectId"},
				{"package", "projectId"},
				{"comment", "referenceId"},
				{"document", "referenceId"},
				{"right", "referenceId"},
				{"tagLink", "ownerId"},
				{"customView", "referenceId"},
			},
		},
		"package": {
			noun: "Package", schema: "Package", action: "Package", creator: "creatorId", numbered: true,
			created: "creationDate", createdStamp: isoStamp, changed: "changeDate", changedStamp: isoStamp,
			defaults: Object{"customFields": map[string]any{}},
			refs:     person,
			owns: [][2]string{
				{"task", "parentPackageId"},
				{"package", "parentPackageId"},
				{"comment", "referenceId"},
				{"document", "referenceId"},
				{"right", "referenceId"},
			},
			complete: completePackage,
		},
		"comment": {
			noun: "Comment", schema: "Comment", action: "Comment", creator: "creatorId",
			created: "creationDate", createdStamp: isoStamp, changed: "changeDate", changedStamp: msStamp,
			renamed:  map[string]string{"parentCommentId": "parentId"},
			owns:     [][2]string{{"comment", "parentId"}},
			complete: completeComment,
		},
		"checklistEntry": {
			noun: "ChecklistEntry", schema: "ChecklistEntry", action: "ChecklistEntry", noMandant: true,
			changed: "changeDate", changedStamp: isoStamp,
			refs:     map[string]string{"assigneeId": "user"},
			complete: completeChecklistEntry,
		},
		"document": {
			noun: "Document", schema: "Document", action: "Document", creator: "creatorId",
			created: "creationDate", createdStamp: isoStamp, changed: "changeDate", changedStamp: isoStamp,
		},
		"company": {
			noun: "Company", schema: "Company", action: "Company", noMandant: true,
			defaults:  Object{"contactIds": []any{}},
			notInRows: []string{"street", "zipCode", "city"},
			owns:      [][2]string{{"tagLink", "ownerId"}},
		},
		"contact": {
			noun: "Contact", schema: "Contact", action: "Contact", noMandant: true,
			notInRows: []string{"street", "zipCode", "city"},
		},
		"user": {
			noun: "User", schema: "User", action: "User",
			defaults:  Object{"isActive": true, "anonymized": false},
			notInRows: []string{"street", "zipCode", "city", "fallbackImageText"},
			owns: [][2]string{
				{"absence", "employeeId"},
				{"teamMember", "employeeId"},
				{"tagLink", "ownerId"},
				{"substitute", "userId"},
				{"substitute", "substituteId"},
				{"right", "employeeId"},
			},
			complete: completeUser,
		},
		"absence": {
			noun: "Absence", schema: "Absence", action: "Absence", refs: map[string]string{"employeeId": "user"},
		},
		"workRecord": {
			noun: "WorkRecord", schema: "WorkRecord", action: "WorkRecord", creator: "creatorEmployeeId",
			created: "createdAt", createdStamp: msStamp, changed: "updatedAt", changedStamp: msStamp,
			defaults: Object{"isBillable": true, "isBilled": false, "location": map[string]any{
				"name": nil, "street": nil, "city": nil, "zipCode": nil, "country": nil,
			}},
			refs:     map[string]string{"workEmployeeId": "user"},
			renamed:  map[string]string{"remainingTaskEffort": ""},
			owns:     [][2]string{{"comment", "referenceId"}},
			complete: completeWorkRecord,
		},
		"appointment": {
			noun: "Appointment", schema: "Appointment", action: "Appointment", creator: "creatorId",
			created: "creationDate", createdStamp: isoStamp, changed: "changeDate", changedStamp: isoStamp,
			refs:     map[string]string{"employeeId": "user", "referencedTaskId": "task"},
			complete: completeAppointment,
		},
		"team": {
			noun: "Team", schema: "Team", action: "Team", defaults: Object{"isActive": true},
			owns: [][2]string{{"teamMember", "teamId"}, {"right", "teamId"}},
		},
		"teamMember": {
			noun: "TeamMember", schema: "TeamMember", action: "TeamMember", refs: map[string]string{"employeeId": "user"},
		},
		"taskTag":     tagKind,
		"projectTag":  tagKind,
		"companyTag":  tagKind,
		"employeeTag": tagKind,
		"taskConnection": {
			noun: "TaskConnection", schema: "TaskConnection", noMandant: true, changed: "changeDate", changedStamp: isoStamp,
		},
		"customView": {
			noun: "CustomView", schema: "CustomView",
			created: "createdAt", createdStamp: msStamp, changed: "updatedAt", changedStamp: msStamp,
			refs: map[string]string{"sourceTemplateId": "customView"}, complete: completeCustomView,
		},
		"structureTemplate": {noun: "Template"},
		"taskTemplate":      {noun: "Template"},
		"note":              {noun: "Note"},
		"tagLink":           {noun: "Tag"},
		"substitute":        {noun: "User"},
		"right":             {noun: "Right"},
	}
}

// tagKind serves four sets of tags: tasks, projects, companies and employees each have their own.
var tagKind = kind{
	noun: "Tag", schema: "Tag", changed: "changeDate", changedStamp: isoStamp, owns: [][2]string{{"tagLink", "tagId"}},
}
