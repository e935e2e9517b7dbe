package tenant

import (
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// Ids of the demo tenant. They are fixed, so that scripts know them before the simulator runs. The examples in the documents use them.
const (
	demoUser              = factro.ExampleUser
	demoColleague         = factro.ExampleColleague
	demoGuest             = factro.ExampleGuest
	demoProject           = factro.ExampleProject
	demoPackage           = factro.ExamplePackage
	demoCompany           = factro.ExampleCompany
	demoSecondCompany     = factro.ExampleOtherCompany
	demoContact           = factro.ExampleContact
	demoViewTemplate      = factro.ExampleViewTemplate
	demoStructureTemplate = factro.ExampleStructureTemplate
	demoTaskTemplate      = factro.ExampleTaskTemplate
	demoNote              = factro.ExampleNote
)

// Seeded are the ids of the objects that exist from the start. There is no task among them, unless Config.Examples is set.
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

// Demo are the ids of the demo tenant.
func Demo(mandantID string) Seeded {
	return Seeded{
		MandantID: mandantID, User: demoUser, Colleague: demoColleague, Guest: demoGuest, Project: demoProject,
		Package: demoPackage, Company: demoCompany, SecondCompany: demoSecondCompany, Contact: demoContact,
		ViewTemplate: demoViewTemplate, StructureTemplate: demoStructureTemplate, TaskTemplate: demoTaskTemplate, Note: demoNote,
	}
}

// seed fills a store with the demo tenant. The objects are complete, so that the description need not be parsed yet.
func seed(st *store, mandant string, now time.Time) {
	at := Instant(now)
	plan := Object{
		"description": nil, "startDate": nil, "endDate": nil, "creationDate": at, "changeDate": at, "creatorId": demoUser,
		"officerId": demoUser, "companyId": nil, "companyContactId": nil, "plannedEffort": nil, "realizedEffort": nil,
		"remainingEffort": nil, "colorScheme": nil, "customFields": map[string]any{}, "mandantId": mandant,
	}
	user := func(id, first, last, mail, group string) Object {
		o := Object{
			"id": id, "firstName": first, "lastName": last, "emailAddress": mail, "securityGroup": group, "isActive": true,
			"anonymized": false, "employeeNumber": nil, "accountId": nil, "salutation": "none", "street": nil, "zipCode": nil,
			"city": nil, "fallbackImageText": first[:1] + last[:1], "mandantId": mandant,
		}
		if group != "GuestRights" {
			o["accountId"] = id[:len(id)-4] + "a" + id[len(id)-3:]
		}
		return o
	}
	company := func(id, name string) Object {
		return Object{
			"id": id, "name": name, "shortName": nil, "description": nil, "companyNumber": st.nextNumber("company"),
			"customerId": nil, "emailAddress": nil, "phone": nil, "website": nil, "street": "Lange Straße 1",
			"zipCode": "12345", "city": "Musterstadt", "contactIds": []any{},
		}
	}
	for _, o := range []struct {
		kind   string
		object Object
	}{
		{"user", user(demoUser, "Anna", "Beispiel", "anna@example.test", "AllRights")},
		{"user", user(demoColleague, "Bernd", "Muster", "bernd@example.test", "BasicRights")},
		{"user", user(demoGuest, "Gast", "Probe", "gast@example.test", "GuestRights")},
		{"company", company(demoCompany, "Beispiel GmbH").With(Object{"contactIds": []any{demoContact}})},
		{"company", company(demoSecondCompany, "Muster AG")},
		{"contact", Object{
			"id": demoContact, "firstName": "Clara", "lastName": "Kontakt", "salutation": "female", "companyId": demoCompany,
			"description": nil, "emailAddress": "clara@example.test", "phone": nil, "mobilePhone": nil, "street": nil,
			"zipCode": nil, "city": nil,
		}},
		// Days as entered in the UI: local midnight, in summer time and in winter time.
		{"project", plan.With(Object{
			"id": demoProject, "title": "Demo", "projectState": "inProcess", "priority": nil, "isArchived": false,
			"isDraft": false, "plannedStartDate": "2026-08-31T22:00:00.000Z", "plannedEndDate": "2026-11-30T23:00:00.000Z",
			"number": st.nextNumber("project"),
		})},
		{"package", plan.With(Object{
			"id": demoPackage, "title": "Demo package", "projectId": demoProject, "parentPackageId": nil,
			"number": st.nextNumber("package"),
		})},
		{"customView", Object{"id": demoViewTemplate, "title": "Board", "viewType": "Kanban", "isTemplate": true, "mandantId": mandant}},
		{"structureTemplate", Object{"id": demoStructureTemplate, "title": "Demo structure"}},
		{"taskTemplate", Object{"id": demoTaskTemplate, "title": "Demo task"}},
	} {
		st.put(o.kind, o.object, time.Time{})
	}
}
