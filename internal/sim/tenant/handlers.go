package tenant

import (
	"encoding/json"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

func jsonNumber(text string) json.Number { return json.Number(text) }

// handlers has the handler of each operation. Groups of routes are generated from tables of their owners. An operation that is missing
// here is answered from its schema.
func handlers() map[string]handler {
	h := map[string]handler{
		"listTasks": listAll("task"), "listTasksByProject": listTasksByProject, "getTask": getOne("task", "taskId"),
		"createTask": createOne("task", nil), "createTasks": createMany("task", nil),
		"updateTask": updateOne("task", "taskId"), "updateTasks": updateMany("task"),
		"deleteTask": deleteOne("task", "taskId"), "setTaskState": setTaskState,
		"moveTaskToProject": moveTaskToProject, "removeTaskFromProject": removeTaskFromProject,
		"moveTaskToPackage": moveTaskToPackage, "removeTaskFromPackage": removeTaskFromPackage,
		"listTaskConnections": listOf("taskConnection", "taskId", "task", "taskId"),
		"addTaskConnection":   addTaskConnection, "removeTaskConnection": removeTaskConnection,
		"listChecklist":        listOf("checklistEntry", "taskId", "task", "taskId"),
		"createChecklistEntry": createOne("checklistEntry", fromPath("taskId", "taskId", "task")),
		"updateChecklistEntry": entryOfTask(updateOne("checklistEntry", "entryId")),
		"deleteChecklistEntry": entryOfTask(deleteOne("checklistEntry", "entryId")),

		"listProjects": listAll("project"), "getProject": getOne("project", "projectId"),
		"createProject": createOne("project", nil), "createProjects": createMany("project", nil),
		"updateProject": updateOne("project", "projectId"), "updateProjects": updateMany("project"),
		"deleteProject": deleteOne("project", "projectId"), "getProjectStructure": getProjectStructure,

		"getPackageById": getOne("package", "packageId"), "getPackage": inProject(getOne("package", "packageId")),
		"listPackages":   listOf("package", "projectId", "project", "projectId"),
		"createPackage":  createOne("package", fromPath("projectId", "projectId", "project")),
		"createPackages": createMany("package", fromPath("projectId", "projectId", "project")),
		"updatePackage":  inProject(updateOne("package", "packageId")), "updatePackages": updatePackages,
		"deletePackage":        inProject(deleteOne("package", "packageId")),
		"movePackageToProject": movePackageToProject, "movePackageToPackage": movePackageToPackage,
		"removePackageFromPackage": removePackageFromPackage, "shiftPackageWithSuccessors": shiftPackageWithSuccessors,

		"listCompanies": listAll("company"), "getCompany": getOne("company", "companyId"),
		"createCompany": createOne("company", nil), "createCompanies": createMany("company", nil),
		"updateCompany": updateOne("company", "companyId"), "updateCompanies": updateMany("company"),
		"deleteCompany": deleteOne("company", "companyId"),

		"listContacts": listAll("contact"), "getContact": getOne("contact", "contactId"),
		"createContact": createOne("contact", nil), "createContacts": createMany("contact", nil),
		"updateContact": updateOne("contact", "contactId"), "updateContacts": updateMany("contact"),
		"deleteContact": deleteOne("contact", "contactId"),

		"listUsers": listAll("user"), "getUser": getOne("user", "userId"),
		"createUser": createOne("user", nil), "createUsers": createMany("user", nil),
		"updateUser": updateOne("user", "userId"), "updateUsers": updateMany("user"),
		"deleteUser":      deleteOne("user", "userId"),
		"listSubstitutes": listSubstitutes, "listSubstitutedUsers": listSubstitutedUsers,
		"addSubstitute": addSubstitute, "removeSubstitute": removeSubstitute, "getUserQuota": userQuota,

		"listAbsences": listAll("absence"), "listAbsencesOfUser": listOf("absence", "employeeId", "user", "userId"),
		"createAbsence":  createOne("absence", fromPath("employeeId", "userId", "user")),
		"createAbsences": createMany("absence", nil), "updateAbsences": updateMany("absence"),
		"updateAbsence": updateOne("absence", "absenceId"), "deleteAbsence": deleteOne("absence", "absenceId"),

		"listWorkRecords": listWorkRecords, "listWorkRecordsByProject": listWorkRecords,
		"getWorkRecord":     getOne("workRecord", "workRecordId"),
		"createWorkRecord":  booking(createOne("workRecord", nil)),
		"createWorkRecords": booking(createMany("workRecord", nil)),
		"updateWorkRecord":  booking(updateOne("workRecord", "workRecordId")),
		"updateWorkRecords": booking(updateMany("workRecord")),
		"deleteWorkRecord":  booking(deleteOne("workRecord", "workRecordId")),

		"listAppointments": listAll("appointment"), "getAppointment": getOne("appointment", "appointmentId"),
		"createAppointment": createOne("appointment", nil), "createAppointments": createMany("appointment", nil),
		"updateAppointment": updateOne("appointment", "appointmentId"), "updateAppointments": updateMany("appointment"),
		"deleteAppointment": deleteOne("appointment", "appointmentId"),

		"listTeams": listAll("team"), "getTeam": getOne("team", "teamId"), "createTeam": createOne("team", nil),
		"updateTeam": updateOne("team", "teamId"), "deleteTeam": deleteOne("team", "teamId"),
		"listTeamMembers": listOf("teamMember", "teamId", "team", "teamId"),
		"addTeamMember":   createOne("teamMember", fromPath("teamId", "teamId", "team")), "removeTeamMember": removeTeamMember,

		"listDocuments": listAll("document"), "getDocument": getOne("document", "documentId"), "getDataQuota": dataQuota,
		"getComment": getOne("comment", "commentId"),

		"listWebhookPayloads": storedPayloads, "listWebhookPayloadsByAction": storedPayloads,

		"listCustomViewTemplates":    customViews(true, nil),
		"listCustomViewsByReference": customViews(false, viewsByReference),
		"createCustomView":           createOne("customView", nil),
		"createCustomViewTemplate":   createOne("customView", asTemplate),
		"getCustomView":              getOne("customView", "customViewId"),
		"updateCustomView":           updateOne("customView", "customViewId"),
		"deleteCustomView":           deleteOne("customView", "customViewId"),
		"setCustomViewPosition":      setCustomViewPosition,
		"applyStructureTemplate":     applyStructureTemplate, "applyTaskTemplate": applyTaskTemplate,
	}
	addTags(h)
	addComments(h)
	addDocuments(h)
	addAssociations(h)
	addRights(h)
	return h
}

func addTags(h map[string]handler) {
	for _, o := range []struct{ owner, param, name, tag string }{
		{"task", "taskId", "Task", "taskTag"},
		{"project", "projectId", "Project", "projectTag"},
		{"company", "companyId", "Company", "companyTag"},
		{"user", "userId", "Employee", "employeeTag"},
	} {
		h["list"+o.name+"Tags"] = listAll(o.tag)
		h["create"+o.name+"Tag"] = createOne(o.tag, nil)
		h["delete"+o.name+"Tag"] = deleteOne(o.tag, "tagId")
		h["listTagsOf"+o.name] = tagsOf(o.owner, o.param, o.tag)
		h["addTagTo"+o.name] = attachTag(o.owner, o.param, o.tag)
		h["removeTagFrom"+o.name] = detachTag(o.owner, o.param)
	}
}

func addComments(h map[string]handler) {
	for name, c := range map[string]commentRoutes{
		"Task":       {kind: "task", param: "taskId", property: "taskId", nested: true, reference: "task"},
		"Project":    {kind: "project", param: "projectId", property: "projectId", nested: true, reference: "project"},
		"Package":    {kind: "package", param: "packageId", property: "taskPackageId", nested: true, reference: "package"},
		"WorkRecord": {kind: "workRecord", param: "workRecordId", property: "workRecordId", reference: "workRecord"},
		"Note":       {kind: "note", param: "noteId", property: "noteId", reference: "note", anyOwner: true},
	} {
		h["list"+name+"Comments"], h["create"+name+"Comment"] = c.list, c.create
		h["get"+name+"Comment"] = c.get
		if remove := "delete" + name + "Comment"; c.nested { // the others cannot be deleted
			h[remove] = c.delete
		}
	}
}

func addDocuments(h map[string]handler) {
	for name, o := range map[string]struct{ kind, param string }{
		"Task": {"task", "taskId"}, "Project": {"project", "projectId"}, "Package": {"package", "packageId"},
	} {
		within := func(verb handler) handler { return verb }
		if o.kind == "package" {
			within = inProject
		}
		h["list"+name+"Documents"] = within(listOf("document", "referenceId", o.kind, o.param))
		h["create"+name+"Document"] = within(uploadTo(o.kind, o.param))
		h["delete"+name+"Document"] = within(documentOf(o.param, deleteOne("document", "documentId")))
	}
}

func addAssociations(h map[string]handler) {
	for name, o := range map[string]struct{ kind, param string }{
		"Task": {"task", "taskId"}, "Project": {"project", "projectId"}, "Package": {"package", "packageId"},
	} {
		within := func(verb handler) handler { return verb }
		if o.kind == "package" {
			within = inProject
		}
		h["set"+name+"Company"] = within(associate(o.kind, o.param, "companyId", "companyId", "company"))
		h["remove"+name+"Company"] = within(associate(o.kind, o.param, "companyId", "", ""))
		h["set"+name+"Contact"] = within(associate(o.kind, o.param, "companyContactId", "contactId", "contact"))
		h["remove"+name+"Contact"] = within(associate(o.kind, o.param, "companyContactId", "", ""))
	}
}

func addRights(h map[string]handler) {
	for name, rt := range map[string]rightRoutes{
		"Task": {"task", "taskId", "Task", "taskId", map[string]string{
			"officerId": "IsTaskOfficer", "executorId": "IsTaskExecutor",
		}},
		"Project":           {"project", "projectId", "Project", "projectId", map[string]string{"officerId": "IsProjectOfficer"}},
		"Package":           {"package", "packageId", "Package", "packageId", map[string]string{"officerId": "IsPackageOfficer"}},
		"StructureTemplate": {"structureTemplate", "templateId", "Project", "", nil},
		"TaskTemplate":      {"taskTemplate", "templateId", "Task", "", nil},
	} {
		for right, write := range map[string]bool{"Read": false, "Write": true} {
			h["get"+name+right+"Rights"] = rt.get(write)
			h["grant"+name+right+"Right"] = rt.grant("employeeId", "user", write)
			h["revoke"+name+right+"Right"] = rt.revoke("employeeId", write)
			h["grant"+name+"Team"+right+"Right"] = rt.grant("teamId", "team", write)
			h["revoke"+name+"Team"+right+"Right"] = rt.revoke("teamId", write)
		}
	}
}

// fromSchema answers an operation without state in the simulator.
func fromSchema(t *tx) (any, error) {
	switch t.op.Answer {
	case factro.AnswerVoid:
		return nil, nil
	case factro.AnswerList:
		return []any{sample(t.contract.doc.Components.Schemas[t.op.AnswerSchema].Value, t.NewID)}, nil
	case factro.AnswerObject:
	}
	return sample(t.contract.doc.Components.Schemas[t.op.AnswerSchema].Value, t.NewID), nil
}

// storedPayloads reads the payloads since an instant (inclusive). The form of the instant at factro is not documented; plain days and
// milliseconds are accepted too.
func storedPayloads(t *tx) (any, error) {
	text := t.params["startDate"]
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if since, err := time.Parse(form, text); err == nil {
			return t.Payloads(since, t.params["actionType"]), nil
		}
	}
	if ms, err := json.Number(text).Int64(); err == nil {
		return t.Payloads(time.UnixMilli(ms), t.params["actionType"]), nil
	}
	return nil, Invalid("startDate", "startDate: %q is not a timestamp", text)
}
