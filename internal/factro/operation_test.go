package factro_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// resources are the names of the contract, which are tokens of subjects. The API has operations on webhooks beside them.
var resources = []string{
	"task", "project", "package", "user", "company", "contact", "appointment", "team", "document", "comment", "note",
	"work-record", "todo-list", "custom-view", "template", "absence",
}

func TestOperationsCount(t *testing.T) {
	t.Parallel()
	all := factro.Operations()
	count := func(is func(factro.Operation) bool) int {
		return len(slices.DeleteFunc(slices.Clone(all), func(o factro.Operation) bool { return !is(o) }))
	}
	for name, tt := range map[string]struct {
		is   func(factro.Operation) bool
		want int
	}{
		"all":     {func(factro.Operation) bool { return true }, 226},
		"writing": {factro.Operation.Writes, 155},
		"reading": {func(o factro.Operation) bool { return o.Method == http.MethodGet }, 71},
		"creates": {factro.Operation.Creates, 37},
		"POST":    {func(o factro.Operation) bool { return o.Method == http.MethodPost }, 37},
	} {
		if got := count(tt.is); got != tt.want {
			t.Errorf("%s: %d operations, want %d", name, got, tt.want)
		}
	}
}

// TestBatched: what factro carries out only in part never stands for several commands, and each element has what its command has.
func TestBatched(t *testing.T) {
	t.Parallel()
	var got []string
	for _, o := range factro.Operations() {
		if o.Batched == nil {
			continue
		}
		got = append(got, o.Name)
		by, known := factro.Lookup(o.Batched.By)
		if !known || by.Batch != factro.BatchAtomic || by.Method != o.Method || by.AnswerSchema != o.AnswerSchema || by.Body != factro.BodyList {
			t.Errorf("%s is batched by %+v", o.Name, by)
		}
		if o.Method == http.MethodPut && (len(o.Batched.Names) != 1 || o.Batched.Names[0].Element != "id" || o.Batched.Names[0].Field != o.Lane) {
			t.Errorf("%s: an element is found by %v, want the id of what it changes", o.Name, o.Batched.Names)
		}
	}
	want := []string{
		"createAbsence", "createContact", "createPackage", "createProject", "createUser", "createWorkRecord",
		"updateAbsence", "updateContact", "updatePackage", "updateProject", "updateUser", "updateWorkRecord",
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("batched are %v, want %v", got, want)
	}
}

// TestOperationsAreTheCallers: who sorts or changes the slice must not change the table.
func TestOperationsAreTheCallers(t *testing.T) {
	t.Parallel()
	mine := factro.Operations()
	first := mine[0].Name
	mine[0].Name = "changed"
	if got := factro.Operations()[0].Name; got != first {
		t.Errorf("the table says %s now", got)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	for _, o := range factro.Operations() {
		if got, ok := factro.Lookup(o.Name); !ok || got.Path != o.Path || got.Method != o.Method {
			t.Errorf("%s: got %s %s, %t", o.Name, got.Method, got.Path, ok)
		}
	}
	for _, name := range []string{"", "createtask", "createTask ", "noSuchThing"} {
		if o, ok := factro.Lookup(name); ok || o.Name != "" {
			t.Errorf("%q: found %s", name, o.Name)
		}
	}
}

var (
	token     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	pathParam = regexp.MustCompile(`\{([^}]*)\}`)
)

// TestOperationsAreSound checks what everybody who reads the table relies on.
func TestOperationsAreSound(t *testing.T) {
	t.Parallel()
	names, routes := map[string]bool{}, map[string]string{}
	for _, o := range factro.Operations() {
		if names[o.Name] || !token.MatchString(o.Name) {
			t.Errorf("%s is there twice, or cannot be a token", o.Name)
		}
		names[o.Name] = true
		route := o.Method + " " + pathParam.ReplaceAllString(o.Path, "{}")
		if other, taken := routes[route]; taken {
			t.Errorf("%s and %s have the same route", o.Name, other)
		}
		routes[route] = o.Name
		if !slices.Contains(resources, o.Resource) && (o.Writes() || o.Resource != "webhook") {
			t.Errorf("%s: %q is no resource of the contract", o.Name, o.Resource)
		}
		if !slices.Contains([]string{"GET", "POST", "PUT", "DELETE"}, o.Method) || !strings.HasPrefix(o.Path, "/") || o.Summary == "" {
			t.Errorf("%s: method %q, path %q, summary %q", o.Name, o.Method, o.Path, o.Summary)
		}
		if !slices.Contains([]string{"observed", "documented", "inferred"}, o.Confidence) {
			t.Errorf("%s: confidence %q", o.Name, o.Confidence)
		}
		if (o.Body == factro.BodyNone) != (o.BodySchema == "") || (o.Answer == factro.AnswerVoid) != (o.AnswerSchema == "") {
			t.Errorf("%s: shapes and schemas do not match: %q %q, %q %q", o.Name, o.Body, o.BodySchema, o.Answer, o.AnswerSchema)
		}
		if o.Method == http.MethodGet && o.Body != factro.BodyNone {
			t.Errorf("%s: a GET with a body", o.Name)
		}
		checkFields(t, o)
	}
}

func checkFields(t *testing.T, o factro.Operation) {
	t.Helper()
	var inPath, declared []string
	for _, m := range pathParam.FindAllStringSubmatch(o.Path, -1) {
		inPath = append(inPath, m[1])
	}
	for _, p := range o.Params {
		if !p.Query {
			declared = append(declared, p.Name)
		}
	}
	if !slices.Equal(inPath, declared) {
		t.Errorf("%s: the path has %q, the parameters are %q", o.Name, inPath, declared)
	}
	seen := map[string]factro.Field{}
	for _, f := range o.Fields {
		if _, twice := seen[f.Name]; twice {
			t.Errorf("%s: property %s is there twice", o.Name, f.Name)
		}
		seen[f.Name] = f
	}
	for _, p := range o.Params {
		f, ok := seen[p.Field]
		if !ok || f.Required == p.Query {
			t.Errorf("%s: parameter %s has the property %+v", o.Name, p.Name, f)
		}
		if p.Field != p.Name && o.Name != "movePackageToProject" {
			t.Errorf("%s: parameter %s is called %s without need", o.Name, p.Name, p.Field)
		}
	}
}

// TestCollision: the path's projectId says where the package is, the body's where it is to go.
func TestCollision(t *testing.T) {
	t.Parallel()
	o, ok := factro.Lookup("movePackageToProject")
	if !ok {
		t.Fatal("there is no such operation")
	}
	if want := []factro.Param{{Name: "projectId", Field: "fromProjectId"}, {Name: "packageId", Field: "packageId"}}; !slices.Equal(o.Params, want) {
		t.Errorf("got %+v, want %+v", o.Params, want)
	}
	var names []string
	for _, f := range o.Fields {
		names = append(names, f.Name)
	}
	if want := []string{"fromProjectId", "packageId", "position", "projectId"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}
