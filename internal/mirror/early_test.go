package mirror

import (
	"fmt"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// TestEarly: an object that looks unchanged right after an event is read once more. What keeps its state then is believed.
func TestEarly(t *testing.T) {
	t.Parallel()
	all := map[string]string{"/projects/p-1": project, "/tasks/t-1": task("t-1", "a"), "/tasks/t-2": task("t-2", "a")}
	w := newWorld(t, objects(all), func(c *Config) { c.Recheck = 2 * time.Second })
	before := w.factro.count("/tasks/t-1")
	w.event(1, "task", "t-1", "TaskTitleChanged")
	natstest.Eventually(t, "it is read", func() bool { return w.factro.count("/tasks/t-1") > before })
	w.factro.set(objects(map[string]string{"/projects/p-1": project, "/tasks/t-1": task("t-1", "b"), "/tasks/t-2": task("t-2", "a")}))
	w.covered(1)
	w.wantChanges("task.t-1.updated title ")
	if got := w.factro.count("/tasks/t-1") - before; got != 2 {
		t.Errorf("it was read %d times", got)
	}

	before = w.factro.count("/tasks/t-2")
	w.event(2, "task", "t-2", "TaskTitleChanged")
	w.covered(2)
	if got := w.factro.count("/tasks/t-2") - before; got != 2 {
		t.Errorf("one without a change was read %d times", got)
	}
	w.event(3, "task", "t-3", "TaskCreated") // not there yet
	natstest.Eventually(t, "the new one is read", func() bool { return w.factro.count("/tasks/t-3") > 0 })
	w.factro.set(objects(map[string]string{"/projects/p-1": project, "/tasks/t-3": task("t-3", "a")}))
	w.covered(3)
	w.event(4, "task", "t-2", "TaskDeleted")
	w.covered(4)
	if got := w.changes(); len(got) != 3 || got[1] != "task.t-3.created changeDate,id,projectId,title " || got[2] != "task.t-2.deleted changeDate,id,projectId,title " {
		t.Errorf("the changes are %q", got)
	}
}

// TestEarlyForbidden: an object that the key may not read is asked for once after each event.
func TestEarlyForbidden(t *testing.T) {
	t.Parallel()
	usual := objects(map[string]string{"/projects/p-1": project, "/tasks/t-1": task("t-1", "a")})
	w := newWorld(t, usual, func(c *Config) { c.Recheck = time.Second })
	w.factro.set(func(path string) (int, string) {
		if path == "/tasks/t-1" {
			return 403, `{"message":"no"}`
		}
		return usual(path)
	})
	before := w.factro.count("/tasks/t-1")
	for n := 1; n <= 2; n++ {
		w.event(n, "task", "t-1", "TaskTitleChanged")
		w.covered(n)
	}
	if got := w.factro.count("/tasks/t-1") - before; got != 2 {
		t.Errorf("two events led to %d readings", got)
	}
}

// TestLate: where factro shows changes late again and again, the mirror waits before it reads.
func TestLate(t *testing.T) {
	t.Parallel()
	// all is a factro where the first so many tasks have changed.
	all := func(changed int) map[string]string {
		tasks := map[string]string{"/projects/p-1": project}
		for n := range mostEarly + 1 {
			id, title := fmt.Sprint("t-", n), "a"
			if n < changed {
				title = "b"
			}
			tasks["/tasks/"+id] = task(id, title)
		}
		return tasks
	}
	w := newWorld(t, objects(all(0)), func(c *Config) { c.Recheck = 2 * time.Second })
	for n := range mostEarly {
		path := fmt.Sprint("/tasks/t-", n)
		before := w.factro.count(path)
		w.event(n+1, "task", fmt.Sprint("t-", n), "TaskTitleChanged")
		natstest.Eventually(t, "it is read too early", func() bool { return w.factro.count(path) > before })
		w.factro.set(objects(all(n + 1)))
		w.covered(n + 1)
	}
	if got := w.mirror.now().delay(); got != 2*time.Second {
		t.Errorf("it waits %s", got)
	}
	before := w.factro.count("/tasks/t-3")
	w.event(mostEarly+1, "task", "t-3", "TaskTitleChanged")
	w.covered(mostEarly + 1)
	if got := w.factro.count("/tasks/t-3") - before; got != 1 {
		t.Errorf("then it is read %d times", got)
	}
}
