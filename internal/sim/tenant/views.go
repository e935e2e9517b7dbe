package tenant

import (
	"maps"
)

func customViews(isTemplate bool, match func(t *tx, o Object) bool) handler {
	return func(t *tx) (any, error) {
		return t.renderRows("customView", t.list("customView", func(o Object) bool {
			return (o["isTemplate"] == true) == isTemplate && (match == nil || match(t, o))
		})), nil
	}
}

// viewsByReference accepts an unknown reference: it may be a room, and rooms have no routes.
func viewsByReference(t *tx, o Object) bool { return o.Str("referenceId") == t.params["referenceId"] }

// completeCustomView takes missing properties from the template.
func completeCustomView(t *tx, before, after, _ Object) error {
	if before != nil {
		return nil
	}
	source, err := t.get("customView", after.Str("sourceTemplateId"))
	if err != nil {
		return err
	}
	for _, inherited := range []string{"viewType", "columnOrder", "filters", "sorting", "grouping", "config"} {
		if value, there := source[inherited]; there && after[inherited] == nil {
			after[inherited] = value
		}
	}
	after["position"] = whole(int64(len(t.list("customView", where("referenceId", after.Str("referenceId"))))))
	return nil
}

func asTemplate(t *tx) (Object, error) {
	return Object{"isTemplate": true, "sourceTemplateId": t.params["sourceTemplateId"]}, nil
}

func setCustomViewPosition(t *tx) (any, error) {
	view, err := t.get("customView", t.params["customViewId"])
	if err != nil || view.Str("referenceId") != t.params["referenceId"] {
		return nil, notFound("customView", t.params["customViewId"])
	}
	changes := Object{"position": jsonNumber(t.params["position"])}
	t.change("customView", view, changes, "")
	return t.render("customView", view.With(changes), false), nil
}

// applyStructureTemplate makes a project with the template's package, or puts that package below a parent. A repeated call makes
// another one.
func applyStructureTemplate(t *tx) (any, error) {
	template, err := t.get("structureTemplate", t.params["templateId"])
	if err != nil {
		return nil, err
	}
	project, parent, err := t.templateTarget(template)
	if err != nil {
		return nil, err
	}
	if _, err := t.create("package", nil, Object{
		"title": template.Str("title"), "projectId": project.ID(), "parentPackageId": parent,
	}); err != nil {
		return nil, err
	}
	return t.render("project", project, false), nil
}

func (t *tx) templateTarget(template Object) (project Object, parent any, err error) {
	target := t.fields().Str("targetParentId")
	if target == "" {
		more := Object{"title": template.Str("title")}
		overwrites, _ := t.fields()["projectPropertyOverwrites"].(map[string]any)
		maps.Copy(more, overwrites)
		project, err = t.create("project", nil, more)
		return project, nil, err
	}
	if p, err := t.get("package", target); err == nil {
		project, err = t.get("project", p.Str("projectId"))
		return project, target, err
	}
	project, err = t.get("project", target)
	return project, nil, err
}

// applyTaskTemplate makes a task. Without a parent the task is outside any project.
func applyTaskTemplate(t *tx) (any, error) {
	template, err := t.get("taskTemplate", t.params["templateId"])
	if err != nil {
		return nil, err
	}
	task, err := t.create("task", t.fields(), Object{"title": template.Str("title")})
	if err != nil {
		return nil, err
	}
	return t.render("task", task, false), nil
}
