package sim

import (
	"slices"
	"time"
)

const taskClosed = "Task is closed"

// checkOpen refuses writes to a closed task. It holds for everything below /tasks/{taskId} but the state route, the
// delete included: public clients have seen the 403 on updates only, and the stricter reading finds more mistakes.
func checkOpen(task object) error {
	if task.str("taskState") == "closed" {
		return forbidden(taskClosed)
	}
	return nil
}

// settleTask places a new task, gives it an executor, and guards a closed one.
func settleTask(t *tx, before, after, body object) error {
	if before != nil {
		if err := checkOpen(before); err != nil {
			return err
		}
	}
	if before == nil {
		// Left out, factro picks some executor and officer; the key's user is the plausible one. Null picks nobody.
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
		t.fire("TaskMoved", after.id())
	}
	return nil
}

// placeTask puts a task below a package, or directly below a project if that is allowed.
func (t *tx) placeTask(task object, parent string) error {
	if p, err := t.get("package", parent); err == nil {
		task["projectId"], task["parentPackageId"] = p["projectId"], parent
		return nil
	}
	if _, err := t.get("project", parent); err != nil || t.variants.PackageParentsOnly {
		return notFound("package", parent)
	}
	task["projectId"], task["parentPackageId"] = parent, nil
	return nil
}

// setTaskState works on closed tasks, too: there is no other way to open them again.
func setTaskState(t *tx) (any, error) {
	task, err := t.get("task", t.params["taskId"])
	if err != nil {
		return nil, err
	}
	state, changes := t.fields().str("state"), object{"pausedUntil": nil}
	if until, sent := t.fields()["pausedUntil"].(string); sent && state == "pushedBack" {
		at, err := time.Parse(time.RFC3339, until)
		if err != nil {
			return nil, invalid("pausedUntil", "pausedUntil: %q is no instant", until)
		}
		changes["pausedUntil"] = instant(at)
	}
	if task.str("taskState") == state && task["pausedUntil"] == changes["pausedUntil"] {
		return nil, nil
	}
	changes["taskState"], changes["changeDate"] = state, instant(t.now)
	t.put("task", task.with(changes))
	t.fire("TaskStateChanged", task.id())
	return nil, nil
}

// listTasksByProject refuses an unknown project, unlike the tags of an unknown company.
func listTasksByProject(t *tx) (any, error) {
	return listOf("task", "projectId", "project", "projectId")(t)
}

// change stores new values of an object behind a void route and fires the kind's event.
func (t *tx) change(kind string, o, changes object, event string) {
	if k := kinds[kind]; k.changed != "" {
		setStamp(changes, k.changed, k.changedStamp, t.now)
	}
	t.put(kind, o.with(changes))
	t.fire(event, o.id())
}

func moveTaskToProject(t *tx) (any, error) {
	return t.moveTask(func(_ object) (object, error) {
		project := t.fields().str("projectId")
		_, err := t.get("project", project)
		return object{"projectId": project, "parentPackageId": nil}, err
	})
}

func removeTaskFromProject(t *tx) (any, error) {
	return t.moveTask(func(object) (object, error) { return object{"projectId": nil, "parentPackageId": nil}, nil })
}

func moveTaskToPackage(t *tx) (any, error) {
	return t.moveTask(func(object) (object, error) {
		p, err := t.get("package", t.fields().str("packageId"))
		return object{"projectId": p["projectId"], "parentPackageId": p["id"]}, err
	})
}

func removeTaskFromPackage(t *tx) (any, error) {
	return t.moveTask(func(object) (object, error) { return object{"parentPackageId": nil}, nil })
}

func (t *tx) moveTask(to func(task object) (object, error)) (any, error) {
	task, err := t.get("task", t.params["taskId"])
	if err != nil {
		return nil, err
	}
	changes, err := to(task)
	if err != nil {
		return nil, err
	}
	t.change("task", task, changes, "TaskMoved")
	moved, err := t.get("task", task.id())
	if err != nil {
		return nil, err
	}
	t.position("task", moved)
	return nil, nil
}

func settleChecklistEntry(t *tx, before, after, _ object) error {
	if title := []rune(after.str("title")); len(title) > 255 {
		return invalid("title", "title: %d characters are more than 255", len(title))
	}
	if before == nil {
		after["position"] = whole(int64(len(t.list("checklistEntry", where("taskId", after.str("taskId")))) + 1))
	}
	return nil
}

// entryOfTask runs a verb on a checklist entry if it belongs to the task in the path.
func entryOfTask(verb handler) handler {
	return func(t *tx) (any, error) {
		entry, err := t.get("checklistEntry", t.params["entryId"])
		if err != nil || entry.str("taskId") != t.params["taskId"] {
			return nil, notFound("checklistEntry", t.params["entryId"])
		}
		return verb(t)
	}
}

// addTaskConnection stores the connection once for each side, since each task lists it from its own point of view.
func addTaskConnection(t *tx) (any, error) {
	body, from := t.fields(), t.params["taskId"]
	to, predecessor, successor := body.str("connectedTaskId"), body["isPredecessor"], body["isSuccessor"]
	if predecessor == true && successor == true {
		return nil, invalid("isPredecessor", "a task is either predecessor or successor, not both")
	}
	if to == from {
		return nil, invalid("connectedTaskId", "a task cannot be connected to itself")
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
	t.put("taskConnection", object{
		"id": t.newID(), "taskId": from, "referenceId": to,
		"isPredecessor": predecessor, "isSuccessor": successor, "changeDate": instant(t.now),
	})
}

func (t *tx) disconnect(from, to string) (found bool) {
	for _, c := range t.list("taskConnection", nil) {
		ends := []string{c.str("taskId"), c.str("referenceId")}
		if slices.Contains(ends, from) && slices.Contains(ends, to) {
			t.remove("taskConnection", c.id())
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
