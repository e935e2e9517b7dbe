package factro

import (
	"strings"
	"sync"
)

// Route finds the operation that a path leads to, given as it reads without escapes. Where a literal and a parameter
// both fit, the literal is meant, as in /tasks/tags beside /tasks/{taskId}; that is how routers of this kind decide.
func Route(method, path string) (Operation, bool) { return find(method, path, sameName) }

// RouteLike is Route as the most lenient of routers does it: one that ignores case, and what follows a dot, as in
// /tasks/TAGS and /tasks/tags.json.
func RouteLike(method, path string) (Operation, bool) { return find(method, path, likeName) }

func sameName(want, segment string) bool { return want == segment }

func likeName(want, segment string) bool {
	name, _, _ := strings.Cut(segment, ".")
	return strings.EqualFold(want, name)
}

func find(method, path string, same func(want, segment string) bool) (Operation, bool) {
	segments := strings.Split(path, "/")
	best, literals := -1, -1
	for _, r := range routes()[method] {
		if n, ok := r.fits(segments, same); ok && n > literals {
			best, literals = r.operation, n
		}
	}
	if best < 0 {
		return Operation{}, false
	}
	return operations[best], true
}

// route is an operation's path, cut at its slashes. A parameter is the empty segment.
type route struct {
	operation int
	segments  []string
}

// fits says whether a path is of this route, and how many of its segments are literals.
func (r route) fits(segments []string, same func(want, segment string) bool) (literals int, ok bool) {
	if len(segments) != len(r.segments) {
		return 0, false
	}
	for i, want := range r.segments[1:] { // before the first slash there is nothing
		switch {
		case want == "":
			if segments[i+1] == "" {
				return 0, false
			}
		case same(want, segments[i+1]):
			literals++
		default:
			return 0, false
		}
	}
	return literals, true
}

var routes = sync.OnceValue(func() map[string][]route {
	byMethod := map[string][]route{}
	for i, o := range operations {
		segments := strings.Split(o.Path, "/")
		for j, s := range segments {
			if strings.HasPrefix(s, "{") {
				segments[j] = ""
			}
		}
		byMethod[o.Method] = append(byMethod[o.Method], route{i, segments})
	}
	return byMethod
})
