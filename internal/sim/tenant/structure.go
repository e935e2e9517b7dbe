package tenant

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// The tree of a project: packages can be nested, tasks are leaves. The order is the order of creation until a request moves a node to a
// position. It is not known whether factro counts positions from zero or one, so positions are clamped at both ends.

func getProjectStructure(t *tx) (any, error) {
	project, err := t.get("project", t.params["projectId"])
	if err != nil {
		return nil, err
	}
	return t.node("project", project), nil
}

func (t *tx) node(kind string, o Object) Object {
	children := []any{}
	for _, child := range t.children(kind, o) {
		children = append(children, t.node(child.kind, child.object))
	}
	return Object{"id": o.ID(), "type": kind, "children": children}
}

type child struct {
	kind   string
	object Object
}

func (t *tx) children(kind string, o Object) []child {
	var out []child
	for _, k := range []string{"package", "task"} {
		for _, c := range t.list(k, func(c Object) bool { return isParent(kind, o, c) }) {
			out = append(out, child{k, c})
		}
	}
	slices.SortStableFunc(out, func(a, b child) int { return cmp.Compare(order(a.object), order(b.object)) })
	return out
}

func isParent(kind string, parent, c Object) bool {
	switch kind {
	case "project":
		return c.Str("projectId") == parent.ID() && c.Str("parentPackageId") == ""
	case "package":
		return c.Str("parentPackageId") == parent.ID()
	}
	return false
}

// order sorts siblings. Nodes that were never moved come last, in the order of their creation.
func order(o Object) int {
	if n, placed := o["_order"].(json.Number); placed {
		at, _ := n.Int64() // position has written it
		return int(at)
	}
	return 1 << 30
}

// position moves a node to the position in the body.
func (t *tx) position(kind string, o Object) {
	number, sent := t.fields()["position"].(json.Number)
	if !sent {
		return
	}
	parentKind, parent := "package", o.Str("parentPackageId")
	if parent == "" {
		parentKind, parent = "project", o.Str("projectId")
	}
	siblings := slices.DeleteFunc(t.children(parentKind, Object{"id": parent}), func(c child) bool { return c.object.ID() == o.ID() })
	at, err := number.Int64()
	if err != nil {
		return
	}
	i := int(min(max(at, 0), int64(len(siblings))))
	siblings = slices.Insert(siblings, i, child{kind, o})
	for n, c := range siblings {
		t.put(c.kind, c.object.With(Object{"_order": whole(int64(n))}))
	}
}

func completePackage(t *tx, before, after, _ Object) error {
	parent := after.Str("parentPackageId")
	if before != nil || parent == "" {
		return nil
	}
	if p, err := t.get("package", parent); err != nil || p["projectId"] != after["projectId"] {
		return notFound("package", parent)
	}
	return nil
}

// inProject runs a handler on a package if it belongs to the project in the path.
func inProject(verb handler) handler {
	return func(t *tx) (any, error) {
		if _, err := t.packageInPath(); err != nil {
			return nil, err
		}
		return verb(t)
	}
}

func (t *tx) packageInPath() (Object, error) {
	if _, err := t.get("project", t.params["projectId"]); err != nil {
		return nil, err
	}
	p, err := t.get("package", t.params["packageId"])
	if err != nil || p.Str("projectId") != t.params["projectId"] {
		return nil, notFound("package", t.params["packageId"])
	}
	return p, nil
}

// updatePackages is atomic, and every element must be a package of the project in the path.
func updatePackages(t *tx) (any, error) {
	return batch("package", func(t *tx, element Object) (Object, error) {
		p, err := t.get("package", element.ID())
		if err != nil || p.Str("projectId") != t.params["projectId"] {
			return nil, notFound("package", element.ID())
		}
		return t.update("package", element.ID(), element)
	})(t)
}

func movePackageToProject(t *tx) (any, error) {
	return t.movePackage(func() (project string, parent any, err error) {
		project = t.fields().Str("projectId")
		_, err = t.get("project", project)
		return project, nil, err
	})
}

func movePackageToPackage(t *tx) (any, error) {
	return t.movePackage(func() (string, any, error) {
		parent, err := t.get("package", t.fields().Str("parentPackageId"))
		return parent.Str("projectId"), parent["id"], err
	})
}

func removePackageFromPackage(t *tx) (any, error) {
	return t.movePackage(func() (string, any, error) { return t.params["projectId"], nil, nil })
}

func (t *tx) movePackage(to func() (project string, parent any, err error)) (any, error) {
	p, err := t.packageInPath()
	if err != nil {
		return nil, err
	}
	project, parent, err := to()
	if err != nil {
		return nil, err
	}
	inside := t.below(p.ID())
	if parent == p.ID() || slices.ContainsFunc(inside, func(c child) bool { return c.object.ID() == parent }) {
		return nil, Invalid("parentPackageId", "a package cannot be moved into itself")
	}
	for _, c := range inside {
		t.put(c.kind, c.object.With(Object{"projectId": project}))
	}
	t.change("package", p, Object{"projectId": project, "parentPackageId": parent}, "PackageMoved")
	moved, err := t.get("package", p.ID())
	if err != nil {
		return nil, err
	}
	t.position("package", moved)
	return nil, nil
}

// below is every package and task inside a package, at any depth.
func (t *tx) below(packageID string) []child {
	var out []child
	for _, c := range t.children("package", Object{"id": packageID}) {
		out = append(out, c)
		if c.kind == "package" {
			out = append(out, t.below(c.object.ID())...)
		}
	}
	return out
}

// shiftPackageWithSuccessors shifts the package's tasks and their successors, each task once. Closed tasks cannot be edited and are not
// shifted. A repeated call shifts again.
func shiftPackageWithSuccessors(t *tx) (any, error) {
	p, err := t.packageInPath()
	if err != nil {
		return nil, err
	}
	days, _ := t.fields()["daysDelta"].(json.Number) // the contract has checked that it is a number
	delta, err := strconv.ParseFloat(string(days), 64)
	if err != nil {
		return nil, Invalid("daysDelta", "daysDelta is not a number")
	}
	seen, waiting := map[string]bool{}, []string{}
	for _, c := range t.below(p.ID()) {
		if c.kind == "task" {
			waiting = append(waiting, c.object.ID())
		}
	}
	for len(waiting) > 0 {
		id := waiting[0]
		waiting = waiting[1:]
		task, err := t.get("task", id)
		if seen[id] || err != nil || checkOpen(task) != nil {
			continue
		}
		seen[id] = true
		t.change("task", task, Object{
			"startDate": shifted(task["startDate"], delta), "endDate": shifted(task["endDate"], delta),
		}, "TaskUpdated")
		for _, c := range t.list("taskConnection", where("taskId", id)) {
			if c["isSuccessor"] == true {
				waiting = append(waiting, c.Str("referenceId"))
			}
		}
	}
	return nil, nil
}

func shifted(date any, days float64) any {
	text, _ := date.(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return date
	}
	return Instant(at.Add(time.Duration(days * 24 * float64(time.Hour))))
}
