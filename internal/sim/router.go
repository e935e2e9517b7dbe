package sim

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// route is one operation's path, cut into segments.
type route struct {
	op       factro.Operation
	segments []string
}

// router finds the operation of a request. It splits the escaped path and decodes each parameter afterwards, because a parameter may
// contain a slash, a space or a colon.
type router struct {
	byMethod map[string][]route
}

func newRouter(operations []factro.Operation) *router {
	rt := &router{byMethod: map[string][]route{}}
	for _, op := range operations {
		segments := strings.Split(strings.TrimPrefix(op.Path, "/"), "/")
		rt.byMethod[op.Method] = append(rt.byMethod[op.Method], route{op, segments})
	}
	for _, routes := range rt.byMethod {
		slices.SortStableFunc(routes, literalsFirst)
	}
	return rt
}

// literalsFirst orders /users/tags before /users/{userId}: a literal segment takes precedence over a parameter.
func literalsFirst(a, b route) int {
	return slices.CompareFunc(a.segments, b.segments, func(x, y string) int {
		return cmp.Compare(parameterRank(x), parameterRank(y))
	})
}

func parameterRank(segment string) int {
	if strings.HasPrefix(segment, "{") {
		return 1
	}
	return 0
}

// match finds the operation for a method and an escaped path below the base URL, such as /tasks/by-project/….
func (rt *router) match(method, escapedPath string) (factro.Operation, map[string]string, bool) {
	segments := strings.Split(strings.TrimPrefix(escapedPath, "/"), "/")
	for _, r := range rt.byMethod[method] {
		if params, ok := r.params(segments); ok {
			return r.op, params, true
		}
	}
	return factro.Operation{}, nil, false
}

func (r route) params(segments []string) (map[string]string, bool) {
	if len(segments) != len(r.segments) {
		return nil, false
	}
	params := map[string]string{}
	for i, want := range r.segments {
		got, err := url.PathUnescape(segments[i])
		if err != nil || got == "" {
			return nil, false
		}
		if name, isParam := strings.CutPrefix(want, "{"); isParam {
			params[strings.TrimSuffix(name, "}")] = got
		} else if got != want {
			return nil, false
		}
	}
	return params, true
}
