package factro

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestMirrors: what the table says of a copy can be done, see checkMirror of the generator for the rest.
func TestMirrors(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		if op.Mirror != nil && (op.Method != http.MethodGet || entitySchemas[op.AnswerSchema] == "") {
			t.Errorf("%s reads no known kind of object", op.Name)
		}
	}
	resources := MirroredResources()
	for _, resource := range resources {
		t.Run(resource, func(t *testing.T) {
			t.Parallel()
			m, known := MirrorOf(resource)
			if !known || m.Resource != resource || !slices.Contains(EntityKinds(), resource) {
				t.Fatalf("got %+v, %t", m, known)
			}
			checkMirrorReads(t, m)
			checkMirrorList(t, m, resources)
			fields := m.Fields()
			if !slices.Contains(fields, "id") {
				t.Errorf("it has no id, but %v", fields)
			}
			for _, name := range m.Noise {
				if !slices.Contains(fields, name) || name == "id" {
					t.Errorf("%s is noise", name)
				}
			}
			for _, name := range m.Moves {
				if !slices.Contains(fields, name) || slices.Contains(m.Noise, name) {
					t.Errorf("%s moves something", name)
				}
			}
			if (len(m.Moves) == 0) != (len(m.Touches) == 0) {
				t.Errorf("%s move %v", m.Moves, m.Touches)
			}
			for _, touch := range m.Touches {
				kinds := []string{touch.Kind}
				if touch.KindIn != "" {
					kinds = FieldEntities(touch.Field)
				}
				for _, kind := range kinds {
					if !slices.Contains(fields, touch.Field) || !slices.Contains(FieldEntities(touch.Field), kind) || !slices.Contains(resources, kind) {
						t.Errorf("%s touches a %s", touch.Field, kind)
					}
				}
			}
		})
	}
	if m, known := MirrorOf("tag"); known {
		t.Errorf("tags are mirrored: %+v", m)
	}
}

// checkMirrorReads: an object is read by its id alone if factro can do that at all.
func checkMirrorReads(t *testing.T, m Mirrored) {
	t.Helper()
	reader, field, readable := ReaderOf(m.Resource)
	if readable == m.ByParent || m.Read.Name != reader.Name || m.ReadField != field {
		t.Errorf("read by %s(%s), by its parent %t; want %s(%s)", m.Read.Name, m.ReadField, m.ByParent, reader.Name, field)
	}
	if m.ByParent && m.List.Name == "" {
		t.Error("nothing reads it")
	}
}

// checkMirrorList: the list shows the same objects. Its only parameter that is required is the parent, which is mirrored as well and
// which the objects name.
func checkMirrorList(t *testing.T, m Mirrored, resources []string) {
	t.Helper()
	if m.List.Name == "" {
		if m.Each != "" || m.EachField != "" || m.Resource != "comment" {
			t.Errorf("no list, but each %q", m.Each)
		}
		return
	}
	if m.List.Writes() || m.List.Answer != AnswerList || m.List.AnswerSchema != m.schema() {
		t.Errorf("%s answers a %s of %s, want a list of %s", m.List.Name, m.List.Answer, m.List.AnswerSchema, m.schema())
	}
	var path []string
	for _, p := range m.List.Params {
		if !p.Query {
			path = append(path, p.Field)
		}
	}
	if got := strings.Join(path, " "); got != m.EachField || (got == "") != (m.Each == "") || len(path) > 1 {
		t.Errorf("%s has the parameters %v, want %q for each %q", m.List.Name, path, m.EachField, m.Each)
	}
	if m.Each == "" {
		return
	}
	if !slices.Equal(FieldEntities(m.EachField), []string{m.Each}) || !slices.Contains(resources, m.Each) || !slices.Contains(m.Fields(), m.EachField) {
		t.Errorf("%s is not the id of the %s that it belongs to", m.EachField, m.Each)
	}
}

// TestMirrorTable: who is copied, and how. A change of this table changes what the mirror of every installation does.
func TestMirrorTable(t *testing.T) {
	t.Parallel()
	want := []string{
		"task getTask listTasksByProject/project+listTasks", "checklist-entry - listChecklist/task", "project getProject listProjects",
		"package getPackageById listPackages/project", "company getCompany listCompanies", "contact getContact listContacts",
		"user getUser listUsers", "absence - listAbsences", "work-record getWorkRecord listWorkRecords",
		"appointment getAppointment listAppointments", "team getTeam listTeams", "comment getComment -",
	}
	var got []string
	for _, resource := range MirroredResources() {
		m, _ := MirrorOf(resource)
		line := resource + " " + dash(m.Read.Name) + " " + dash(m.List.Name)
		if m.Each != "" {
			line += "/" + m.Each
		}
		if m.All.Name != "" {
			line += "+" + m.All.Name
		}
		got = append(got, line)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func dash(name string) string {
	if name == "" {
		return "-"
	}
	return name
}
