package translate_test

import (
	"errors"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// normalised are the paths that servers and the proxies before them make of one: escapes undone up to three times, and
// then cut at what ends a path elsewhere, without what follows a semicolon, with slashes for backslashes and for what
// looks like slashes, without control characters and blanks at the ends, without what follows a dot.
func normalised(target string) (paths []string) {
	for range 4 {
		cut := target
		if i := strings.IndexAny(cut, "?#\x00"); i >= 0 {
			cut = cut[:i]
		}
		slashes := strings.NewReplacer(`\`, "/", "／", "/", "．", ".", "∕", "/", "\t", "", "\r", "", "\n", "").Replace(cut)
		whole := strings.NewReplacer(`\`, "/", "\x00", "").Replace(target)
		for _, p := range []string{target, cut, slashes, whole, parameters.ReplaceAllString(slashes, ""), forms.ReplaceAllString(slashes, "$1")} {
			paths = append(paths, p, path.Clean(p), path.Clean(blanks.ReplaceAllString(p, "/")))
		}
		undone, err := url.PathUnescape(target)
		if err != nil || undone == target {
			break
		}
		target = undone
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

var (
	parameters = regexp.MustCompile(`;[^/]*`)
	forms      = regexp.MustCompile(`\.[a-z]*(/|$)`)
	blanks     = regexp.MustCompile(`\s*/\s*|\s+$`)
)

// lenient are the routes of a router that ignores case. They know nothing of the product's own router.
type lenient struct {
	op       factro.Operation
	literals int
	route    *regexp.Regexp
}

// lenientRoutes are the routes beside an operation, and the names in their paths.
func lenientRoutes(beside factro.Operation) (routes []lenient, names []string) {
	for _, op := range factro.Operations() {
		if op.Method != beside.Method || strings.Split(op.Path, "/")[1] != strings.Split(beside.Path, "/")[1] {
			continue
		}
		r := lenient{op: op, route: regexp.MustCompile("(?i)^" + pathParam.ReplaceAllString(op.Path, "[^/]+") + "/?$")}
		for _, s := range strings.Split(op.Path, "/")[1:] {
			if !strings.HasPrefix(s, "{") {
				r.literals++
				names = append(names, s)
			}
		}
		routes = append(routes, r)
	}
	slices.Sort(names)
	return routes, slices.Compact(names)
}

// led is where a path leads to, "" if it leads nowhere.
func led(routes []lenient, path string) (name string) {
	most := -1
	for _, r := range routes {
		if r.literals > most && r.route.MatchString(path) {
			name, most = r.op.Name, r.literals
		}
	}
	return name
}

// odd are values that could make another operation of one, with a name that stands in paths. What they are made of does not
// depend on the name, so all forms are tried with one name of an operation.
func odd(name string, allForms bool) []string {
	values := []string{name, strings.ToUpper(name), name + ".", name + ".json"}
	if allForms {
		for _, form := range []string{
			"*/", "*;a=b", "*?", "*%2500", " *", "x/*", "x%252F*", `x\*`, "x／*", "x;/*", "../*", "..;/*", "%2e%2e%2f*",
		} {
			values = append(values, strings.ReplaceAll(form, "*", name))
		}
	}
	return values
}

var oddEnds = []string{
	".", "..", "...", "/", `\`, "//", "%2e", "%2e%2e", "%252e%252e", ".%2e", "..;", ".;x=y", "..%00", "..\x00", ".. ", "..\t", ".\n.", "．．",
	"x?", "x#", "x;", "x?y=z", "x%3f", "x%23", "x\x00", "x%00", "x/..", "x/../..", "x%2f..", `x\..`, "x;/..;", "?", "#", ";", "%", " ", "\x00", "{", "*",
}

// namesOnly fails if an error names other fields than those that have an odd value.
func namesOnly(t *testing.T, operation string, err error, fields []string) {
	t.Helper()
	var invalid *translate.InvalidError
	if !errors.As(err, &invalid) {
		t.Errorf("%s: %v", operation, err)
		return
	}
	for _, m := range invalid.Fields {
		if !slices.Contains(fields, strings.TrimPrefix(m.Pointer, "/")) {
			t.Errorf("%s with odd values of %s is refused for %s: %s", operation, fields, m.Pointer, m.Message)
		}
	}
}

// No value of a path parameter leads to another operation than the command's own, whatever stands between us and factro:
// who may send what is decided by operation.
func TestNoValueLeadsElsewhere(t *testing.T) {
	t.Parallel()
	refused, taken := 0, 0
	for _, op := range factro.Operations() {
		routes, names := lenientRoutes(op)
		values := slices.Clone(oddEnds)
		for i, name := range names {
			values = append(values, odd(name, i == 0)...)
		}
		data := newSampler(t, false).data(op)
		var fields []string
		for _, p := range op.Params {
			if !p.Query {
				fields = append(fields, p.Field)
				data[p.Field] = "4b1f0c3e-6a55-4dd1-9f0c-1a2b3c4d5e6f"
			}
		}
		sets := [][]string{fields} // all at once, and each alone
		for _, f := range fields {
			sets = append(sets, []string{f})
		}
		if len(fields) == 1 {
			sets = sets[1:]
		}
		for _, set := range sets {
			usual := map[string]any{}
			for _, f := range set {
				usual[f] = data[f]
			}
			for _, value := range values {
				for _, f := range set {
					data[f] = value
				}
				call, err := translate.Command(op, jsonOf(t, data))
				if err != nil {
					refused++
					namesOnly(t, op.Name, err, set)
					continue
				}
				taken++
				for _, p := range normalised(call.Target) {
					if name := led(routes, p); name != "" && name != op.Name {
						t.Errorf("%s with %q becomes %s, by way of %s", op.Name, value, name, p)
						break
					}
				}
			}
			maps.Copy(data, usual)
		}
	}
	t.Logf("%d commands were refused, %d were taken", refused, taken)
	if refused == 0 || taken == 0 {
		t.Error("the test shows nothing")
	}
}
