package factro

// Ids of the example tenant. The examples in the documents name these objects, and the simulator has them, so that
// every example can be carried out as it stands.
const (
	exampleID                = "0f5ac7e0-0000-4000-8000-0000000000"
	exampleOtherID           = exampleID + "ff" // of what the tenant does not have
	ExampleMandant           = exampleID + "aa"
	ExampleUser              = exampleID + "01" // the key's user
	ExampleColleague         = exampleID + "02"
	ExampleGuest             = exampleID + "03"
	ExampleProject           = exampleID + "10"
	ExampleOtherProject      = exampleID + "11"
	ExamplePackage           = exampleID + "20"
	ExampleOtherPackage      = exampleID + "21"
	ExampleCompany           = exampleID + "30"
	ExampleOtherCompany      = exampleID + "31"
	ExampleContact           = exampleID + "40"
	ExampleCustomView        = exampleID + "4f"
	ExampleViewTemplate      = exampleID + "50"
	ExampleStructureTemplate = exampleID + "60"
	ExampleTaskTemplate      = exampleID + "61"
	ExampleNote              = exampleID + "70"
	ExampleTask              = exampleID + "80"
	ExampleOtherTask         = exampleID + "81"
	ExampleChecklistEntry    = exampleID + "82"
	ExampleTeam              = exampleID + "90"
	ExampleMember            = exampleID + "91"
	ExampleWorkRecord        = exampleID + "a0"
	ExampleAbsence           = exampleID + "a1"
	ExampleAppointment       = exampleID + "a2"
	ExampleTaskComment       = exampleID + "c0"
	ExampleProjectComment    = exampleID + "c1"
	ExamplePackageComment    = exampleID + "c2"
	ExampleWorkRecordComment = exampleID + "c3"
	ExampleNoteComment       = exampleID + "c4"
	ExampleTaskDocument      = exampleID + "d0"
	ExampleProjectDocument   = exampleID + "d1"
	ExamplePackageDocument   = exampleID + "d2"
	ExampleTaskTag           = exampleID + "e0"
	ExampleProjectTag        = exampleID + "e1"
	ExampleCompanyTag        = exampleID + "e2"
	ExampleUserTag           = exampleID + "e3"
)

// exampleIDs are the ids by the names of parameters and properties.
var exampleIDs = map[string]string{
	"mandantId": ExampleMandant, "taskId": ExampleTask, "connectedTaskId": ExampleOtherTask, "projectId": ExampleProject,
	"fromProjectId": ExampleProject, "packageId": ExamplePackage, "parentPackageId": ExampleOtherPackage, "targetParentId": ExamplePackage,
	"userId": ExampleUser, "employeeId": ExampleColleague, "substituteId": ExampleColleague, "officerId": ExampleUser,
	"executorId": ExampleColleague, "assigneeId": ExampleUser, "workEmployeeId": ExampleUser, "creatorId": ExampleUser,
	"companyId": ExampleCompany, "contactId": ExampleContact, "companyContactId": ExampleContact, "entryId": ExampleChecklistEntry,
	"teamId": ExampleTeam, "memberId": ExampleMember, "workRecordId": ExampleWorkRecord, "absenceId": ExampleAbsence,
	"appointmentId": ExampleAppointment, "customViewId": ExampleCustomView, "sourceTemplateId": ExampleViewTemplate,
	"noteId": ExampleNote, "referenceId": ExampleProject, "bookedOnReferenceId": ExampleTask, "referencedTaskId": ExampleTask,
	"createdInContextOfReferenceId": ExampleProject, "commentId": ExampleTaskComment, "documentId": ExampleTaskDocument,
	"parentCommentId": ExampleTaskComment,
}

// exampleIDsBelow are the ids that depend on the owner, by the beginning of an operation's path; the first one that fits
// counts.
var exampleIDsBelow = []struct {
	path string
	ids  map[string]string
}{
	{"/tasks", map[string]string{"tagId": ExampleTaskTag}},
	{"/projects/{projectId}/packages/{packageId}/", map[string]string{
		"commentId": ExamplePackageComment, "documentId": ExamplePackageDocument, "parentCommentId": ExamplePackageComment,
	}},
	{"/projects", map[string]string{
		"tagId": ExampleProjectTag, "commentId": ExampleProjectComment, "documentId": ExampleProjectDocument,
		"parentCommentId": ExampleProjectComment,
	}},
	{"/companies", map[string]string{"tagId": ExampleCompanyTag}},
	{"/users", map[string]string{"tagId": ExampleUserTag}},
	{"/work-records", map[string]string{"commentId": ExampleWorkRecordComment, "parentCommentId": ExampleWorkRecordComment}},
	{"/note", map[string]string{"commentId": ExampleNoteComment, "parentCommentId": ExampleNoteComment}},
	{"/templates/structure", map[string]string{"templateId": ExampleStructureTemplate}},
	{"/templates/task", map[string]string{"templateId": ExampleTaskTemplate}},
}

// exampleTargets are where moves go to, when the place from where is in the path under the same name.
var exampleTargets = map[string]string{"projectId": ExampleOtherProject}

// exampleElements are the ids of the elements of batches, by their schema.
var exampleElements = map[string]string{
	"TaskBatchChange": ExampleTask, "ProjectBatchChange": ExampleProject, "PackageBatchChange": ExamplePackage,
	"CompanyBatchChange": ExampleCompany, "ContactBatchChange": ExampleContact, "UserBatchChange": ExampleUser,
	"AbsenceBatchChange": ExampleAbsence, "AppointmentBatchChange": ExampleAppointment, "WorkRecordBatchChange": ExampleWorkRecord,
}

// exampleValues are values, as JSON, by the names of properties and parameters.
var exampleValues = map[string]string{
	"title": `"Prüfung der Brücke"`, "name": `"Müller & Söhne"`, "text": `"<p>Geprüft.</p>"`, "description": `"Alle fünf Lager ansehen"`,
	"subject": `"Besprechung"`, "firstName": `"Käthe"`, "lastName": `"Größe"`, "emailAddress": `"kaethe@example.test"`,
	"color": `"#3366ff"`, "colorScheme": `"blue"`, "city": `"Köln"`, "street": `"Lange Straße 1"`, "zipCode": `"50667"`,
	"location": `"Köln, Raum 3"`, "phone": `"+49 221 0000"`, "startTime": `"09:00"`, "endTime": `"10:30"`,
	"minutesWorked": "90", "utcOffset": "120", "daysDelta": "7", "plannedEffort": "2.5", "taskPriority": "50", "position": "1",
	"isPredecessor": "false", "isSuccessor": "true", "checked": "false", "state": `"review"`, "projectState": `"closed"`,
	"type": `"Planned"`, "actionType": `"TaskStateChanged"`, "action": `"TaskStateChanged"`, "startDate": `"2026-09-01T00:00:00.000Z"`,
}

// exampleOptions are the optional properties that an example shows, by the schema of the body or of its elements: those
// without which a change would change nothing, and those that one should have seen.
var exampleOptions = map[string][]string{
	"NewTask": {"endDate", "executorId"}, "TaskChanges": {"title", "executorId"}, "TaskBatchChange": {"title"},
	"ChecklistEntryChanges": {"checked"}, "ProjectChanges": {"projectState"}, "ProjectBatchChange": {"projectState"},
	"PackageChanges": {"title"}, "PackageBatchChange": {"title"}, "CompanyChanges": {"city"}, "CompanyBatchChange": {"city"},
	"ContactChanges": {"phone"}, "ContactBatchChange": {"phone"}, "UserChanges": {"city"}, "UserBatchChange": {"city"},
	"AbsenceChanges": {"type"}, "AbsenceBatchChange": {"type"}, "WorkRecordChanges": {"minutesWorked"},
	"NewWorkRecord": {"description"}, "WorkRecordBatchChange": {"minutesWorked"}, "NewAppointment": {"subject"},
	"AppointmentChanges": {"location"}, "AppointmentBatchChange": {"location"}, "TeamChanges": {"name"}, "CustomViewChanges": {"title"},
	"ApplyStructureTemplate": {"targetParentId"}, "ApplyTaskTemplate": {"targetParentId"},
}
