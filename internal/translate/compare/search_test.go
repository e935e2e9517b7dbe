package compare

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

func searchOf(t testing.TB, operation string) factro.Search {
	t.Helper()
	o, ok := factro.Lookup(operation)
	if !ok || o.Search == nil {
		t.Fatalf("%s is not searched for", operation)
	}
	return *o.Search
}

func TestJudge(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	dated := since.Add(123 * time.Millisecond)
	const task = `{"title":"Prüfung","targetParentId":"p-1","description":"x","plannedEffort":2,"executorId":null,"endDate":"2026-11-30T23:00:00Z"}`
	const late, early = `"creationDate":"2026-11-02T08:00:01.000Z"`, `"creationDate":"2026-11-02T07:59:59.000Z"`
	const all = `"id":"t-1","title":"Prüfung ","parentPackageId":"p-1","description":"x","plannedEffort":2.0,"executorId":null,"endDate":"2026-12-01T00:00:00+01:00"`
	for name, test := range map[string]struct {
		operation, data, item string
		want                  Likeness
		n                     int
	}{
		"all of it":                  {"createTask", task, `{` + all + `,` + late + `}`, Equal, 1},
		"before the call":            {"createTask", task, `{` + all + `,` + early + `}`, Other, 0},
		"the mark of the bridge":     {"createTask", task, `{` + all + `,"creationDate":"2026-11-02T08:00:00.123Z"}`, Exact, 1},
		"without its time":           {"createTask", task, `{` + all + `}`, Doubtful, 1},
		"another title":              {"createTask", task, `{"id":"t","title":"Prüfungen","parentPackageId":"p-1",` + late + `}`, Other, 0},
		"another package":            {"createTask", task, `{"id":"t","title":"Prüfung","parentPackageId":"p-2","projectId":"p",` + late + `}`, Other, 0},
		"below the project":          {"createTask", task, `{"id":"t","title":"Prüfung","parentPackageId":null,"projectId":"p-1",` + late + `}`, Equal, 1},
		"another description":        {"createTask", task, `{"id":"t","title":"Prüfung","projectId":"p-1","description":"<p>x</p>",` + late + `}`, Doubtful, 1},
		"an executor after all":      {"createTask", task, `{"id":"t","title":"Prüfung","projectId":"p-1","executorId":"u",` + late + `}`, Doubtful, 1},
		"the sender's time":          {"createTask", `{"title":"a","targetParentId":"p","creationDate":"2020-01-01T00:00:00Z"}`, `{"id":"t","title":"a","projectId":"p","creationDate":"2020-01-01T00:00:00.000Z"}`, Doubtful, 1},
		"no id":                      {"createTask", task, `{"title":"Prüfung",` + late + `}`, Doubtful, 1},
		"no object":                  {"createTask", task, `7`, Doubtful, 1},
		"no time of creation at all": {"createCompany", `{"name":"Größe"}`, `{"id":"c","name":"Größe"}`, Doubtful, 1},
		"another company":            {"createCompany", `{"name":"Größe"}`, `{"id":"c","name":"Grösse"}`, Other, 0},
		"milliseconds, clock times":  {"createWorkRecord", `{"startDate":"2026-11-02","minutesWorked":30,"bookedOnReferenceId":"t","startTime":"09:00"}`, `{"id":"w","startDate":"2026-11-02","minutesWorked":30,"bookedOnReferenceId":"t","startTime":"09:00:00","createdAt":1793606401000}`, Equal, 1},
		"an answer to a comment":     {"createTaskComment", `{"taskId":"t","text":"ja"}`, `{"id":"k","text":"nein","creationDate":"2020-01-01T00:00:00Z","subComments":[{"id":"l","text":"ja",` + late + `}]}`, Equal, 1},
		"another comment":            {"createTaskComment", `{"taskId":"t","text":"ja"}`, `{"id":"k","text":"nein",` + late + `}`, Doubtful, 1},
		"a decomposed umlaut":        {"createCompany", `{"name":"Größe"}`, "{\"id\":\"c\",\"name\":\"Gro\u0308ße\"}", Doubtful, 1},
		"another system's line ends": {"createTaskComment", `{"taskId":"t","text":"a \r\n\r\nb\n"}`, `{"id":"k","text":"a\n\nb",` + late + `}`, Equal, 1},
		"escaped decomposed umlauts": {"createTaskComment", `{"taskId":"t","text":"gru\u0308n"}`, `{"id":"k","text":"gr\u00fcn",` + late + `}`, Equal, 1},
		"another line":               {"createTaskComment", `{"taskId":"t","text":"a\n\nb"}`, `{"id":"k","text":"a\nb",` + late + `}`, Doubtful, 1},
		"numbers by their value":     {"createWorkRecord", `{"startDate":"2026-11-02","minutesWorked":30,"bookedOnReferenceId":"t"}`, `{"id":"w","startDate":"2026-11-02","minutesWorked":3.00e1,"bookedOnReferenceId":"t","createdAt":1793606401000}`, Equal, 1},
		"a file by its ASCII name":   {"createTaskDocument", `{"taskId":"t","file":{"name":"Übersicht ß.pdf"}}`, `{"id":"d","title":"Ubersicht ss.pdf",` + late + `}`, Equal, 1},
		"a file in Latin 1":          {"createTaskDocument", `{"taskId":"t","file":{"name":"ä.pdf"}}`, "{\"id\":\"d\",\"title\":\"Ã¤.pdf\"," + late + "}", Equal, 1},
		"another file":               {"createTaskDocument", `{"taskId":"t","file":{"name":"ä.pdf"}}`, `{"id":"d","title":"ö.pdf",` + late + `}`, Doubtful, 1},
		"a file":                     {"createTaskDocument", `{"taskId":"t","file":{"name":"a.pdf"}}`, `{"id":"d","title":"a.pdf",` + late + `}`, Equal, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := NewSearch(searchOf(t, test.operation), []byte(test.data), since, dated)
			if err != nil {
				t.Fatal(err)
			}
			got := s.Judge([]byte(test.item))
			if len(got) != test.n || test.n > 0 && got[0].Likeness != test.want {
				t.Errorf("got %+v, want %d of likeness %d", got, test.n, test.want)
			}
		})
	}
}

func TestSearchParams(t *testing.T) {
	t.Parallel()
	for operation, test := range map[string][2]string{
		"createWorkRecord":     {`{"startDate":"2026-03-01","bookedOnReferenceId":"t"}`, `{"endDate":"2026-03-02","startDate":"2026-02-28"}`},
		"createTask":           {`{"targetParentId":"p-1"}`, `{"projectId":"p-1"}`},
		"createPackageComment": {`{"projectId":"p","packageId":"q","text":"x"}`, `{"packageId":"q","projectId":"p"}`},
		"createCompany":        {`{"name":"x"}`, `{}`},
	} {
		s, err := NewSearch(searchOf(t, operation), []byte(test[0]), time.Time{}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(s.Params()); err != nil || string(got) != test[1] {
			t.Errorf("%s: got %s, %v, want %s", operation, got, err, test[1])
		}
	}
}

// TestObjectsWithoutATimeOfCreation: an object that tells the zero date may be the one that was made.
func TestObjectsWithoutATimeOfCreation(t *testing.T) {
	t.Parallel()
	how := factro.Search{Created: "creationDate", Same: []factro.Comparison{{Field: "title", Items: []string{"title"}}}}
	at := time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)
	s, err := NewSearch(how, []byte(`{"title":"x"}`), at, at)
	if err != nil {
		t.Fatal(err)
	}
	for created, want := range map[string]Likeness{
		`"0001-01-01T00:00:00Z"`: Doubtful, `"1970-01-01T00:00:00Z"`: Doubtful, "1": Doubtful,
		`"2010-01-01T00:00:00Z"`: Other,
	} {
		got := Other
		for _, item := range s.Judge([]byte(`{"id":"t","title":"x","creationDate":` + created + `}`)) {
			got = item.Likeness
		}
		if got != want {
			t.Errorf("created at %s: got %v, want %v", created, got, want)
		}
	}
}
