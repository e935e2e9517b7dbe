package tenant

import (
	"slices"
)

// Action is a webhook action that the simulator fires.
type Action struct {
	Name string `json:"name"`
	// Invented says that the name is the simulator's own. factro has about 300 actions, but only three names are public. An invented
	// name is not a fact: do not derive other names from it.
	Invented bool   `json:"invented"`
	When     string `json:"when"`
}

// actions are all actions that changes fire, the proven ones first. An operator can fire any other name by hand.
var actions = []Action{
	{"TaskCreated", false, "a task was created"},
	{"TaskStateChanged", false, "the state route changed a task's state"},
	{"TaskExecutorChanged", false, "a task's executor changed"},

	{"TaskUpdated", true, "another property of a task changed"},
	{"TaskMoved", true, "a task moved to another project or package"},
	{"TaskDeleted", true, "a task was deleted"},
	{"ProjectCreated", true, "a project was created"},
	{"ProjectUpdated", true, "a project changed"},
	{"ProjectDeleted", true, "a project was deleted"},
	{"PackageCreated", true, "a package was created"},
	{"PackageUpdated", true, "a package changed"},
	{"PackageMoved", true, "a package moved"},
	{"PackageDeleted", true, "a package was deleted"},
	{"CommentCreated", true, "a comment was written"},
	{"CommentDeleted", true, "a comment was deleted"},
	{"ChecklistEntryCreated", true, "a checklist entry was added"},
	{"ChecklistEntryUpdated", true, "a checklist entry changed"},
	{"ChecklistEntryDeleted", true, "a checklist entry was deleted"},
	{"DocumentCreated", true, "a document was uploaded"},
	{"DocumentDeleted", true, "a document was removed"},
	{"CompanyCreated", true, "a company was created"},
	{"CompanyUpdated", true, "a company changed"},
	{"CompanyDeleted", true, "a company was deleted"},
	{"ContactCreated", true, "a contact was created"},
	{"ContactUpdated", true, "a contact changed"},
	{"ContactDeleted", true, "a contact was deleted"},
	{"UserCreated", true, "a user was created"},
	{"UserUpdated", true, "a user changed"},
	{"UserDeleted", true, "a user was deleted"},
	{"AbsenceCreated", true, "an absence was created"},
	{"AbsenceUpdated", true, "an absence changed"},
	{"AbsenceDeleted", true, "an absence was deleted"},
	{"WorkRecordCreated", true, "time was booked"},
	{"WorkRecordUpdated", true, "a booking changed"},
	{"WorkRecordDeleted", true, "a booking was deleted"},
	{"AppointmentCreated", true, "an appointment was created"},
	{"AppointmentUpdated", true, "an appointment changed"},
	{"AppointmentDeleted", true, "an appointment was deleted"},
	{"TeamCreated", true, "a team was created"},
	{"TeamUpdated", true, "a team changed"},
	{"TeamDeleted", true, "a team was deleted"},
	{"TeamMemberCreated", true, "a team got a member"},
	{"TeamMemberDeleted", true, "a team lost a member"},
}

// Actions are the actions that changes fire.
func Actions() []Action { return actions }

// Invented says whether the name of an action is not proven.
func Invented(name string) bool {
	return !slices.ContainsFunc(actions, func(a Action) bool { return a.Name == name && !a.Invented })
}
