package translate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

var pathParam = regexp.MustCompile(`\{([^}]*)\}`)

// TestCommandOfEveryOperation builds data from each schema, once the least and once all that is known, and looks whether
// all of it arrives where it belongs.
func TestCommandOfEveryOperation(t *testing.T) {
	t.Parallel()
	for _, o := range factro.Operations() {
		if !o.Writes() {
			continue
		}
		t.Run(o.Name, func(t *testing.T) {
			t.Parallel()
			for _, all := range []bool{false, true} {
				data := newSampler(t, all).data(o)
				call, err := translate.Command(o, jsonOf(t, data))
				if err != nil {
					t.Fatalf("all %t: %v", all, err)
				}
				checkCall(t, o, data, call)
			}
		})
	}
}

func checkCall(t *testing.T, o factro.Operation, data map[string]any, call translate.Call) {
	t.Helper()
	path := pathParam.ReplaceAllStringFunc(o.Path, func(braces string) string {
		field := strings.Trim(braces, "{}")
		if o.Name == "movePackageToProject" && field == "projectId" {
			field = "fromProjectId"
		}
		value, _ := data[field].(string)
		delete(data, field)
		return url.PathEscape(value)
	})
	target, query, _ := strings.Cut(call.Target, "?")
	if call.Method != o.Method || target != path || query != "" {
		t.Errorf("got %s %s, want %s %s", call.Method, call.Target, o.Method, path)
	}
	if r, err := http.NewRequestWithContext(t.Context(), call.Method, "https://factro.test/api/core"+call.Target, nil); err != nil {
		t.Error(err)
	} else if got := r.URL.EscapedPath(); got != "/api/core"+path || strings.Count(got, "/") != strings.Count(o.Path, "/")+2 {
		t.Errorf("the request goes to %s", got)
	}
	want := any(data)
	switch o.Body {
	case factro.BodyNone:
		if call.Body != nil || call.ContentType != "" {
			t.Errorf("a body %q, %q", call.Body, call.ContentType)
		}
		return
	case factro.BodyMultipart:
		file := readUpload(t, call)
		if file.name != "plan.txt" || file.contentType != "text/plain" || string(file.data) != "hallo" {
			t.Errorf("got %+v", file)
		}
		return
	case factro.BodyList:
		want = data["items"]
	case factro.BodyObject:
	}
	if call.ContentType != "application/json" || !bytes.Equal(canonical(t, call.Body), canonical(t, jsonOf(t, want))) {
		t.Errorf("%s body\n got %s\nwant %s", call.ContentType, call.Body, jsonOf(t, want))
	}
}

// canonical writes JSON with its keys sorted and its numbers as they are.
func canonical(t testing.TB, text []byte) []byte {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return jsonOf(t, v)
}

// TestCommandKeepsValues compares the text, since every value has more than one way to be written.
func TestCommandKeepsValues(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ operation, data, body string }{
		"null stays null":      {"updateTask", `{"taskId":"t","executorId":null}`, `{"executorId":null}`},
		"absent stays absent":  {"updateTask", `{"taskId":"t"}`, `{}`},
		"big integers":         {"updateTask", `{"taskId":"t","x":12345678901234567890123}`, `{"x":12345678901234567890123}`},
		"zeros at the end":     {"updateTask", `{"taskId":"t","plannedEffort":1.10}`, `{"plannedEffort":1.10}`},
		"exponents":            {"updateTask", `{"taskId":"t","plannedEffort":1E+2}`, `{"plannedEffort":1E+2}`},
		"large exponents":      {"updateTask", `{"taskId":"t","plannedEffort":1e-400}`, `{"plannedEffort":1e-400}`},
		"largest exponents":    {"updateTask", `{"taskId":"t","x":[1e400,1E+0400]}`, `{"x":[1e400,1E+0400]}`},
		"a hundred digits":     {"updateTask", `{"taskId":"t","x":` + strings.Repeat("7", 100) + `}`, `{"x":` + strings.Repeat("7", 100) + `}`},
		"minus zero":           {"updateTask", `{"taskId":"t","plannedEffort":-0.0}`, `{"plannedEffort":-0.0}`},
		"HTML":                 {"updateTask", `{"taskId":"t","title":"a<b>&'"}`, `{"title":"a<b>&'"}`},
		"HTML in a key":        {"updateTask", `{"taskId":"t","a<&":1}`, `{"a<&":1}`},
		"escapes":              {"updateTask", `{"taskId":"t","title":"\u00e4\/\ud83d\ude00"}`, `{"title":"\u00e4\/\ud83d\ude00"}`},
		"umlauts":              {"updateTask", `{"taskId":"t","title":"Größe"}`, `{"title":"Größe"}`},
		"unknown properties":   {"updateTask", `{"taskId":"t","brandNew":{"b":[1,null]}}`, `{"brandNew":{"b":[1,null]}}`},
		"unknown, nested":      {"updateTask", `{"taskId":"t","customFields":{"z":1.0,"a":null}}`, `{"customFields":{"z":1.0,"a":null}}`},
		"dates of any form":    {"updateTask", `{"taskId":"t","endDate":"tomorrow"}`, `{"endDate":"tomorrow"}`},
		"ids that are no UUID": {"updateTask", `{"taskId":"t","executorId":"me"}`, `{"executorId":"me"}`},
		"blanks are no value":  {"updateTask", " {\n\"taskId\" : \"t\", \"title\": \"a  b\" }\n", `{"title":"a  b"}`},
		"a key in other case":  {"updateTask", `{"taskId":"t","TaskId":"u"}`, `{"TaskId":"u"}`},
		"collision":            {"movePackageToProject", `{"fromProjectId":"a","packageId":"k","projectId":"b"}`, `{"projectId":"b"}`},
		"list":                 {"updateTasks", `{"items":[{"id":"1","executorId":null},{"id":"2","x":1.0}]}`, `[{"id":"1","executorId":null},{"id":"2","x":1.0}]`},
		"list below a path":    {"createPackages", `{"projectId":"p","items":[{"title":"<a>"}]}`, `[{"title":"<a>"}]`},
	} {
		call, err := translate.Command(lookup(t, tt.operation), []byte(tt.data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if string(call.Body) != tt.body {
			t.Errorf("%s: got %s, want %s", name, call.Body, tt.body)
		}
	}
}

func TestCommandTarget(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ operation, data, target, entity string }{
		"plain":            {"deleteTask", `{"taskId":"t-1"}`, "/tasks/t-1", "t-1"},
		"a time":           {"deleteTask", `{"taskId":"2026-01-31T09:30:00.5+01:00"}`, "/tasks/2026-01-31T09:30:00.5+01:00", "2026-01-31T09:30:00.5+01:00"},
		"marks":            {"deleteTask", `{"taskId":"a-b_c~d@e,f=g"}`, "/tasks/a-b_c~d@e%2Cf=g", "a-b_c~d@e,f=g"},
		"letters, digits":  {"deleteTask", `{"taskId":"azAZ09"}`, "/tasks/azAZ09", "azAZ09"},
		"the longest":      {"deleteTask", `{"taskId":"` + strings.Repeat("x", 1024) + `"}`, "/tasks/" + strings.Repeat("x", 1024), strings.Repeat("x", 1024)},
		"dots inside":      {"deleteTask", `{"taskId":"a..b"}`, "/tasks/a..b", "a..b"},
		"collision":        {"movePackageToProject", `{"fromProjectId":"a","packageId":"k","projectId":"b"}`, "/projects/a/packages/k/project", "k"},
		"no entity":        {"createTask", `{"title":"t","targetParentId":"p"}`, "/tasks", ""},
		"another's entity": {"createAbsence", `{"userId":"u","type":"Planned","startDate":"s","endDate":"e","isHalfDay":false}`, "/users/u/absences", ""},
		"two words":        {"deleteWorkRecord", `{"workRecordId":"w"}`, "/work-records/w", "w"},
		"number as text":   {"setCustomViewPosition", `{"referenceId":"r","customViewId":"v","position":"3"}`, "/custom-views/r/v/position/3", "v"},
		"number":           {"setCustomViewPosition", `{"referenceId":"r","customViewId":"v","position":3}`, "/custom-views/r/v/position/3", "v"},
	} {
		call, err := translate.Command(lookup(t, tt.operation), []byte(tt.data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if call.Target != tt.target || call.EntityID != tt.entity {
			t.Errorf("%s: got %s of %q, want %s of %q", name, call.Target, call.EntityID, tt.target, tt.entity)
		}
	}
}

// TestCommandQuery: no operation that writes has a query today, but the description may get one.
func TestCommandQuery(t *testing.T) {
	t.Parallel()
	o := lookup(t, "deleteTask")
	o.Name = "deleteTaskWithQuery"
	o.Params = append(slices.Clone(o.Params), factro.Param{Name: "force", Field: "force", Query: true})
	for data, want := range map[string]string{
		`{"taskId":"t"}`:                 "/tasks/t",
		`{"taskId":"t","force":"a&b=ü"}`: "/tasks/t?force=a%26b%3D%C3%BC",
		`{"taskId":"t","force":"../x"}`:  "/tasks/t?force=..%2Fx",
	} {
		if call, err := translate.Command(o, []byte(data)); err != nil || call.Target != want {
			t.Errorf("%s: got %s, %v, want %s", data, call.Target, err, want)
		}
	}
}

// TestDated: only a create that takes a time of creation gets one, in UTC, and the sender's own stays.
func TestDated(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 1, 31, 10, 30, 0, 123456789, time.FixedZone("", 3600))
	for name, tt := range map[string]struct{ operation, body, want string }{
		"a create":           {"createTask", `{"title":"a"}`, `{"creationDate":"2026-01-31T09:30:00.123Z","title":"a"}`},
		"the sender's":       {"createTask", `{"creationDate":"2020-01-01","title":"a"}`, `{"creationDate":"2020-01-01","title":"a"}`},
		"the sender's null":  {"createTask", `{"creationDate":null}`, `{"creationDate":null}`},
		"a list of creates":  {"createTasks", `[{"title":"a"}]`, `[{"title":"a"}]`},
		"takes none":         {"createProject", `{"title":"a"}`, `{"title":"a"}`},
		"no create":          {"updateTask", `{"title":"a"}`, `{"title":"a"}`},
		"no body":            {"deleteTask", ``, ``},
		"a file in the body": {"createTaskDocument", ``, ``},
	} {
		call := translate.Call{Method: "POST", Target: "/t", Body: []byte(tt.body), EntityID: "e"}
		got, err := translate.Dated(lookup(t, tt.operation), call, created)
		if err != nil || string(got.Body) != tt.want || got.Method != call.Method || got.Target != call.Target || got.EntityID != call.EntityID {
			t.Errorf("%s: got %+v with %s, %v, want %s", name, got, got.Body, err, tt.want)
		}
	}
	o := lookup(t, "createTask")
	o.Body = factro.BodyList // a description that sets a time in a list, which has no place for it
	if got, err := translate.Dated(o, translate.Call{Body: []byte(`[]`)}, created); err != nil || string(got.Body) != `[]` {
		t.Errorf("in a list: got %s, %v", got.Body, err)
	}
	if got, err := translate.Dated(lookup(t, "createTask"), translate.Call{Body: []byte(`[]`)}, created); err == nil {
		t.Errorf("a body that is no object became %s", got.Body)
	}
}

// TestCommandSideBySide: schemas are compiled at first use, by whoever comes first.
func TestCommandSideBySide(t *testing.T) {
	t.Parallel()
	fresh := factro.Operations()[:20]
	for i := range fresh {
		fresh[i].Name += "AsNew" // nobody has compiled these
	}
	start := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			<-start
			for _, o := range fresh {
				var invalid *translate.InvalidError
				if _, err := translate.Command(o, []byte(`[]`)); !errors.As(err, &invalid) {
					t.Errorf("%s: %v", o.Name, err)
				}
			}
		})
	}
	close(start)
	wg.Wait()
}

// FuzzCommand holds that no data makes us panic, that a refusal says why within bounds, and that what is not refused is
// a request to the operation's own route.
func FuzzCommand(f *testing.F) {
	// One of each shape; with all of them, compiling schemas would take the time.
	var operations []factro.Operation
	var routes []*regexp.Regexp
	for _, name := range []string{
		"updateTask", "updateTasks", "deleteTask", "removeTagFromTask", "createTaskDocument", "movePackageToProject",
		"setCustomViewPosition", "createWorkRecord",
	} {
		o := lookup(f, name)
		operations = append(operations, o)
		routes = append(routes, regexp.MustCompile("^/api/core"+pathParam.ReplaceAllString(o.Path, "[^/]+")+"$"))
	}
	s := newSampler(f, true)
	for i, o := range operations {
		f.Add(uint8(i), jsonOf(f, s.data(o)))
	}
	f.Add(uint8(0), []byte(`{"taskId":"..","plannedEffort":1e1000001,"isMilestone":1}`))
	f.Add(uint8(2), []byte(`{"taskId":"a\/b"}`))
	f.Add(uint8(2), []byte(`{"taskId":"a\/package"}`))
	f.Fuzz(func(t *testing.T, i uint8, data []byte) {
		n := int(i) % len(operations)
		o := operations[n]
		kept := bytes.Clone(data)
		call, err := translate.Command(o, data)
		if !bytes.Equal(data, kept) {
			t.Fatal("the data was changed")
		}
		if err != nil {
			var invalid *translate.InvalidError
			if !errors.As(err, &invalid) || len(invalid.Fields) == 0 || len(jsonOf(t, invalid.Fields)) > 256<<10 || call.Method != "" {
				t.Errorf("got %+v, %v", call, err)
			}
			return
		}
		u, err := url.Parse("https://factro.test/api/core" + call.Target)
		if err != nil {
			t.Fatalf("no URL: %v", err)
		}
		for _, path := range []string{u.EscapedPath(), u.JoinPath().EscapedPath()} {
			if !routes[n].MatchString(path) {
				t.Errorf("%s goes to %s", o.Name, path)
			}
		}
		// A proxy that undoes escapes may make nonsense of the path, but not another operation.
		undone := path.Clean(strings.ReplaceAll(strings.TrimPrefix(u.Path, "/api/core"), `\`, "/"))
		if other, ok := factro.Route(o.Method, undone); ok && other.Name != o.Name {
			t.Errorf("%s could be carried out as %s: %s", o.Name, other.Name, u.Path)
		}
		if o.Body == factro.BodyObject && !bytes.Equal(canonical(t, call.Body), canonical(t, without(t, data, o.Params))) {
			t.Errorf("%s became %s", data, call.Body)
		}
	})
}

func without(t testing.TB, data []byte, params []factro.Param) []byte {
	t.Helper()
	fields := fieldsOf(t, data)
	maps.DeleteFunc(fields, func(name string, _ json.RawMessage) bool {
		return slices.ContainsFunc(params, func(p factro.Param) bool { return p.Field == name })
	})
	return jsonOf(t, fields)
}
