package sim

import "time"

// Ids of the demo tenant. They are fixed, so that a script may know them before the simulator runs.
const (
	demoUser              = "0f5ac7e0-0000-4000-8000-000000000001"
	demoColleague         = "0f5ac7e0-0000-4000-8000-000000000002"
	demoGuest             = "0f5ac7e0-0000-4000-8000-000000000003"
	demoProject           = "0f5ac7e0-0000-4000-8000-000000000010"
	demoPackage           = "0f5ac7e0-0000-4000-8000-000000000020"
	demoCompany           = "0f5ac7e0-0000-4000-8000-000000000030"
	demoSecondCompany     = "0f5ac7e0-0000-4000-8000-000000000031"
	demoContact           = "0f5ac7e0-0000-4000-8000-000000000040"
	demoViewTemplate      = "0f5ac7e0-0000-4000-8000-000000000050"
	demoStructureTemplate = "0f5ac7e0-0000-4000-8000-000000000060"
	demoTaskTemplate      = "0f5ac7e0-0000-4000-8000-000000000061"
	demoNote              = "0f5ac7e0-0000-4000-8000-000000000070"
)

// Seeded are the ids of the objects that exist from the start. There is no task among them.
type Seeded struct {
	MandantID         string `json:"mandantId"`
	User              string `json:"user"` // the key's user
	Colleague         string `json:"colleague"`
	Guest             string `json:"guest"`
	Project           string `json:"project"`
	Package           string `json:"package"`
	Company           string `json:"company"`
	SecondCompany     string `json:"secondCompany"`
	Contact           string `json:"contact"`
	ViewTemplate      string `json:"viewTemplate"`
	StructureTemplate string `json:"structureTemplate"`
	TaskTemplate      string `json:"taskTemplate"`
	Note              string `json:"note"` // any uuid is a note
}

// Demo returns the ids of the demo tenant.
func (s *Sim) Demo() Seeded {
	return Seeded{
		MandantID: s.cfg.MandantID, User: demoUser, Colleague: demoColleague, Guest: demoGuest, Project: demoProject,
		Package: demoPackage, Company: demoCompany, SecondCompany: demoSecondCompany, Contact: demoContact,
		ViewTemplate: demoViewTemplate, StructureTemplate: demoStructureTemplate, TaskTemplate: demoTaskTemplate, Note: demoNote,
	}
}

// seed fills a store with the demo tenant. The objects are complete, so that the description is not needed yet.
func seed(st *store, mandant string, now time.Time) {
	at := instant(now)
	plan := object{
		"description": nil, "startDate": nil, "endDate": nil, "creationDate": at, "changeDate": at, "creatorId": demoUser,
		"officerId": demoUser, "companyId": nil, "companyContactId": nil, "plannedEffort": nil, "realizedEffort": nil,
		"remainingEffort": nil, "colorScheme": nil, "customFields": map[string]any{}, "mandantId": mandant,
	}
	user := func(id, first, last, mail, group string) object {
		o := object{
			"id": id, "firstName": first, "lastName": last, "emailAddress": mail, "securityGroup": group, "isActive": true,
			"anonymized": false, "employeeNumber": nil, "accountId": nil, "salutation": "none", "street": nil, "zipCode": nil,
			"city": nil, "fallbackImageText": first[:1] + last[:1], "mandantId": mandant,
		}
		if group != "GuestRights" {
			o["accountId"] = id[:len(id)-4] + "a" + id[len(id)-3:]
		}
		return o
	}
	company := func(id, name string) object {
		return object{
			"id": id, "name": name, "shortName": nil, "description": nil, "companyNumber": st.nextNumber("company"),
			"customerId": nil, "emailAddress": nil, "phone": nil, "website": nil, "street": "Lange Straße 1",
			"zipCode": "12345", "city": "Musterstadt", "contactIds": []any{},
		}
	}
	for _, o := range []struct {
		kind   string
		object object
	}{
		{"user", user(demoUser, "Anna", "Beispiel", "anna@example.test", "AllRights")},
		{"user", user(demoColleague, "Bernd", "Muster", "bernd@example.test", "BasicRights")},
		{"user", user(demoGuest, "Gast", "Probe", "gast@example.test", "GuestRights")},
		{"company", company(demoCompany, "Beispiel GmbH").with(object{"contactIds": []any{demoContact}})},
		{"company", company(demoSecondCompany, "Muster AG")},
		{"contact", object{
			"id": demoContact, "firstName": "Clara", "lastName": "Kontakt", "salutation": "female", "companyId": demoCompany,
			"description": nil, "emailAddress": "clara@example.test", "phone": nil, "mobilePhone": nil, "street": nil,
			"zipCode": nil, "city": nil,
		}},
		// The days are entered in the UI: local midnight, before and after the change of the clocks.
		{"project", plan.with(object{
			"id": demoProject, "title": "Demo", "projectState": "inProcess", "priority": nil, "isArchived": false,
			"isDraft": false, "plannedStartDate": "2026-08-31T22:00:00.000Z", "plannedEndDate": "2026-11-30T23:00:00.000Z",
			"number": st.nextNumber("project"),
		})},
		{"package", plan.with(object{
			"id": demoPackage, "title": "Demo package", "projectId": demoProject, "parentPackageId": nil,
			"number": st.nextNumber("package"),
		})},
		{"customView", object{"id": demoViewTemplate, "title": "Board", "viewType": "Kanban", "isTemplate": true, "mandantId": mandant}},
		{"structureTemplate", object{"id": demoStructureTemplate, "title": "Demo structure"}},
		{"taskTemplate", object{"id": demoTaskTemplate, "title": "Demo task"}},
	} {
		st.put(o.kind, o.object, time.Time{})
	}
}
