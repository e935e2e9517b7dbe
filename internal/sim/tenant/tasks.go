package tenant

import (
	"slices"
	"time"
)

const taskClosed = "Task is closed"

// checkOpen refuses writes to a closed task. It applies to everything below /tasks/{taskId} except the state route, including deletes.
// Public clients show the 403 only for updates, but the stricter behavior finds more mistakes.
func checkOpen(task Object) error {
	if task.Str("taskState") == "closed" {
		return forbidden(taskClosed)
	}
	return nil
}

// completeTask places a new task, sets its executor, and refuses changes to a closed one.
func completeTask(t *tx, before, after, body Object) error {
	if before != nil {
		if err := checkOpen(before); err != nil {
			return err
		}
	}
	if before == nil {
		// If executor and officer are missing, factro sets them; the key's user is the most plausible. With null there is none.
		for _, role := range []string{"executorId", "officerId"} {
			if _, sent := body[role]; !sent {
				after[role] = t.user
			}
		}
	}
	parent, sent := body["targetParentId"].(string)
	if !sent {
		return nil
	}
	if err := t.placeTask(after, parent); err != nil {
		return err
	}
	if before != nil {
		t.fire("TaskMoved", after.ID())
	}
	return nil
}

// placeTask puts a task below a package, or directly below a project if that is allowed.
func (t *tx) placeTask(task Object, parent string) error {
	if p, err := t.get("package", parent); err == nil {
		task["projectId"], task["parentPackageId"] = p["projectId"], parent
		return nil
	}
	if _, err := t.get("project", parent); err != nil || t.Variants.PackageParentsOnly {
		return notFound("package", parent)
	}
	task["projectId"], task["parentPackageId"] = parent, nil
	return nil
}

// setTaskState also works on closed tasks: there is no other way to reopen them.
func setTaskState(t *tx) (any, error) {
	task, err := t.get("task", t.params["taskId"])
	if err != nil {
		return nil, err
	}
	state, changes := t.fields().Str("state"), Object{"pausedUntil": nil}
	if until, sent := t.fields()["pausedUntil"].(string); sent && state == "pushedBack" {
		at, err := time.Parse(time.RFC3339, until)
		if err != nil {
			return nil, Invalid("pausedUntil", "pausedUntil: %q is not a timestamp", until)
		}
		changes["pausedUntil"] = Instant(at)
	}
	if task.Str("taskState") == state && task["pausedUntil"] == changes["pausedUntil"] {
		return nil, nil
	}
	changes["taskState"], changes["changeDate"] = state, Instant(t.now)
	t.put("task", task.With(changes))
	t.fire("TaskStateChanged", task.ID())
	return nil, nil
}

// listTasksByProject refuses an unknown project, unlike the tags of an unknown company.
func listTasksByProject(t *tx) (any, error) {
	return listOf("task", "projectId", "project", "projectId")(t)
}

// change stores new values of an object, for a route without an answer, and fires the event.
func (t *tx) change(kind string, o, changes Object, event string) {
	if k := kinds[kind]; k.changed != "" {
		setStamp(changes, k.changed, k.changedStamp, t.now)
	}
	t.put(kind, o.With(changes))
	t.fire(event, o.ID())
}

func moveTaskToProject(t *tx) (any, error) {
	return t.moveTask(func(_ Object) (Object, error) {
		project := t.fields().Str("projectId")
		_, err := t.get("project", project)
		return Object{"projectId": project, "parentPackageId": nil}, err
	})
}

func removeTaskFromProject(t *tx) (any, error) {
	return t.moveTask(func(Object) (Object, error) { return Object{"projectId": nil, "parentPackageId": nil}, nil })
}

func moveTaskToPackage(t *tx) (any, error) {
	return t.moveTask(func(Object) (Object, error) {
		p, err := t.get("package", t.fields().Str("packageId"))
		return Object{"projectId": p["projectId"], "parentPackageId": p["id"]}, err
	})
}

func removeTaskFromPackage(t *tx) (any, error) {
	return t.moveTask(func(Object) (Object, error) { return Object{"parentPackageId": nil}, nil })
}

func (t *tx) moveTask(to func(task Object) (Object, error)) (any, error) {
	task, err := t.get("task", t.params["taskId"])
	if err != nil {
		return nil, err
	}
	changes, err := to(task)
	if err != nil {
		return nil, err
	}
	t.change("task", task, changes, "TaskMoved")
	moved, err := t.get("task", task.ID())
	if err != nil {
		return nil, err
	}
	t.position("task", moved)
	return nil, nil
}

func completeChecklistEntry(t *tx, before, after, _ Object) error {
	if title := []rune(after.Str("title")); len(title) > 255 {
		return Invalid("title", "title: %d characters are more than 255", len(title))
	}
	if before == nil {
		after["position"] = whole(int64(len(t.list("checklistEntry", where("taskId", after.Str("taskId")))) + 1))
	}
	return nil
}

// entryOfTask runs a handler on a checklist entry if it belongs to the task in the path.
func entryOfTask(verb handler) handler {
	return func(t *tx) (any, error) {
		entry, err := t.get("checklistEntry", t.params["entryId"])
		if err != nil || entry.Str("taskId") != t.params["taskId"] {
			return nil, notFound("checklistEntry", t.params["entryId"])
		}
		return verb(t)
	}
}

// addTaskConnection stores the connection once for each task, since each task lists it from its own side.
func addTaskConnection(t *tx) (any, error) {
	body, from := t.fields(), t.params["taskId"]
	to, predecessor, successor := body.Str("connectedTaskId"), body["isPredecessor"], body["isSuccessor"]
	if predecessor == true && successor == true {
		return nil, Invalid("isPredecessor", "a task is either predecessor or successor, not both")
	}
	if to == from {
		return nil, Invalid("connectedTaskId", "a task cannot be connected to itself")
	}
	for _, id := range []string{from, to} {
		if _, err := t.get("task", id); err != nil {
			return nil, err
		}
	}
	t.disconnect(from, to)
	t.connect(from, to, predecessor, successor)
	t.connect(to, from, successor, predecessor)
	t.fire("TaskUpdated", from)
	return nil, nil
}

func (t *tx) connect(from, to string, predecessor, successor any) {
	t.put("taskConnection", Object{
		"id": t.NewID(), "taskId": from, "referenceId": to,
		"isPredecessor": predecessor, "isSuccessor": successor, "changeDate": Instant(t.now),
	})
}

func (t *tx) disconnect(from, to string) (found bool) {
	for _, c := range t.list("taskConnection", nil) {
		ends := []string{c.Str("taskId"), c.Str("referenceId")}
		if slices.Contains(ends, from) && slices.Contains(ends, to) {
			t.remove("taskConnection", c.ID())
			found = true
		}
	}
	return found
}

func removeTaskConnection(t *tx) (any, error) {
	from, to := t.params["taskId"], t.params["connectedTaskId"]
	if _, err := t.get("task", from); err != nil {
		return nil, err
	}
	if !t.disconnect(from, to) {
		return nil, notFound("taskConnection", to)
	}
	t.fire("TaskUpdated", from)
	return nil, nil
}
