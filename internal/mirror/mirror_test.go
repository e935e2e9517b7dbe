package mirror

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

const project = `{"id":"p-1","title":"Projekt"}`

func task(id, title string) string {
	return fmt.Sprintf(`{"id":%q, "title":%q, "projectId":"p-1", "changeDate":"x"}`, id, title)
}

// TestSnapshot: at first everything is read by the lists, and is no change. An event leads to one reading, and a change if something has changed.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	all := map[string]string{"/projects/p-1": project, "/tasks/t-1": task("t-1", "a")}
	w := newWorld(t, objects(all))
	w.wantChanges()
	if got := w.state("task", "t-1"); got != task("t-1", "a") {
		t.Errorf("the copy is %s", got)
	}
	w.factro.set(objects(map[string]string{"/projects/p-1": project, "/tasks/t-1": task("t-1", "b"), "/tasks/t-2": task("t-2", "n")}))
	before := w.factro.count("/tasks/t-1")
	for n := range 10 {
		w.event(n+1, "task", "t-1", "TaskTitleChanged")
	}
	w.covered(10)
	if got := w.factro.count("/tasks/t-1") - before; got != 1 {
		t.Errorf("ten events led to %d readings", got)
	}
	w.event(11, "task", "t-2", "TaskCreated")
	w.covered(11)
	w.wantChanges("task.t-1.updated title ", "task.t-2.created changeDate,id,projectId,title ")
	natstest.Eventually(t, "the project is read, since a task is new", func() bool { return w.factro.count("/projects/p-1") > 0 })
}

// TestGone: what factro does not show goes from the copy: 404 for good, 403 until the next event. An answer of somebody else changes nothing.
func TestGone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		body   string
		state  string
	}{
		"not found":     {404, `"Not found"`, "404"},
		"forbidden":     {403, `{"message":"no"}`, "403"},
		"unknown route": {404, "<html>404</html>", task("t-1", "a")},
		"failure":       {500, "oops", task("t-1", "a")},
		"another one":   {200, task("t-2", "x"), task("t-1", "a")},
		"no object":     {200, "{}", task("t-1", "a")},
		"a page":        {200, "<html>maintenance</html>", task("t-1", "a")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			usual := objects(map[string]string{"/projects/p-1": project, "/tasks/t-1": task("t-1", "a")})
			w := newWorld(t, usual)
			w.factro.set(func(path string) (int, string) {
				if path == "/tasks/t-1" {
					return tt.status, tt.body
				}
				return usual(path)
			})
			before := w.factro.count("/tasks/t-1")
			w.event(1, "task", "t-1", "TaskDeleted")
			if tt.state == "404" || tt.state == "403" {
				w.covered(1)
				w.event(2, "task", "other", "TaskCreated")
				w.covered(2)
				w.wantChanges("task.t-1.deleted changeDate,id,projectId,title ")
				if got := w.factro.count("/tasks/t-1") - before; got != 1 {
					t.Errorf("it was asked for %d times", got)
				}
			} else {
				natstest.Eventually(t, "it is read again", func() bool { return w.factro.count("/tasks/t-1")-before > 1 })
				w.wantChanges()
			}
			if got := w.state("task", "t-1"); got != tt.state {
				t.Errorf("the copy is %s, want %s", got, tt.state)
			}
		})
	}
}

// TestVerify: a comparison finds what no event told: what differs, what is new and what is gone. A diff changes nothing.
func TestVerify(t *testing.T) {
	t.Parallel()
	w := newWorld(t, objects(map[string]string{"/projects/p-1": project, "/tasks/t-1": task("t-1", "a"), "/tasks/t-2": task("t-2", "b"), "/tasks/t-3": task("t-3", "c")}))
	w.factro.set(objects(map[string]string{"/projects/p-1": project, "/tasks/t-1": task("t-1", "z"), "/tasks/t-3": task("t-3", "c"), "/tasks/t-4": task("t-4", "d")}))
	sweep := func(kind string) Progress {
		w.mirror.now().wanted <- kind
		natstest.Eventually(t, kind+" has ended", func() bool { p := w.progress(); return p.Sweep == nil && p.Last != nil && p.Last.Kind == kind })
		return w.progress()
	}
	p := sweep(Diff)
	if p.Last.Differences != 3 || strings.Join(p.Last.Examples, ", ") != "task t-1, task t-4, task t-2" {
		t.Errorf("got %+v", p.Last)
	}
	w.wantChanges()
	p = sweep(Verify)
	if p.Last.Differences != 3 {
		t.Errorf("got %+v", p.Last)
	}
	w.wantChanges("task.t-1.updated title verify", "task.t-4.created changeDate,id,projectId,title verify", "task.t-2.deleted changeDate,id,projectId,title verify")
	if p = sweep(Diff); p.Last.Differences != 0 {
		t.Errorf("got %+v", p.Last)
	}
}

// TestThinLists: where lists show less than a reading, objects are read one by one, and a list alone makes nothing differ.
func TestThinLists(t *testing.T) {
	t.Parallel()
	whole := objects(map[string]string{"/projects/p-1": project, "/tasks/t-1": task("t-1", "a"), "/tasks/t-2": task("t-2", "b")})
	thin := func(path string) (int, string) {
		if path == "/tasks" || strings.HasPrefix(path, "/tasks/by-project") {
			return 200, `[{"id":"t-1","title":"a"},{"id":"t-2","title":"b"}]`
		}
		return whole(path)
	}
	w := newWorld(t, thin)
	if got := w.state("task", "t-2"); got != task("t-2", "b") {
		t.Errorf("the copy is %s", got)
	}
	w.wantChanges()
	w.mirror.now().wanted <- Verify
	natstest.Eventually(t, "it has ended", func() bool { p := w.progress(); return p.Sweep == nil && p.Last.Kind == Verify })
	if p := w.progress(); p.Last.Differences != 0 {
		t.Errorf("got %+v", p.Last)
	}
	w.wantChanges()
}

// TestThinShare: what lists show only in part is read at the pace of the lists, and not at that of the whole budget.
func TestThinShare(t *testing.T) {
	t.Parallel()
	all := map[string]string{"/projects/p-1": project}
	for n := range 40 {
		all[fmt.Sprint("/tasks/t-", n)] = task(fmt.Sprint("t-", n), "a")
	}
	whole := objects(all)
	began := time.Now()
	w := newWorld(t, func(path string) (int, string) {
		status, text := whole(path)
		if path == "/tasks" || strings.HasPrefix(path, "/tasks/by-project") {
			text = strings.ReplaceAll(text, `, "changeDate":"x"`, "")
		}
		return status, text
	}, func(c *Config) { c.Share = 0.012 }) // twenty requests a second
	if took, least := time.Since(began), 40*time.Second/20; took < least {
		t.Errorf("%d requests took %s, want %s at least", w.factro.total(), took, least)
	}
	if got := w.state("task", "t-2"); got != task("t-2", "a") {
		t.Errorf("the copy is %s", got)
	}
}

// TestListInstead: many objects of one list are one reading.
func TestListInstead(t *testing.T) {
	t.Parallel()
	before, after := map[string]string{"/projects/p-1": project}, map[string]string{"/projects/p-1": project}
	for n := range 200 {
		id := fmt.Sprint("t-", n)
		before["/tasks/"+id], after["/tasks/"+id] = task(id, "a"), task(id, "b")
	}
	w := newWorld(t, objects(before), func(c *Config) { c.Settle = 300 * time.Millisecond })
	w.factro.set(objects(after))
	calls := w.factro.total()
	for n := range 200 {
		w.event(n+1, "task", fmt.Sprint("t-", n), "TaskChanged")
	}
	w.covered(200)
	if got := w.factro.total() - calls; got > 20 {
		t.Errorf("200 events of one list led to %d readings", got)
	}
	if got := len(w.changes()); got != 200 {
		t.Errorf("there are %d changes", got)
	}
}

// TestManyLists: many objects of as many lists are read one by one, and those that wait are not looked at again for each of them.
func TestManyLists(t *testing.T) {
	t.Parallel()
	const tasks = 250
	before, after := map[string]string{"/projects/p-1": project}, map[string]string{"/projects/p-1": project}
	for n := range tasks {
		before[fmt.Sprint("/tasks/t-", n)] = fmt.Sprintf(`{"id":"t-%d","title":"a","projectId":"p-%d"}`, n, n)
		after[fmt.Sprint("/tasks/t-", n)] = fmt.Sprintf(`{"id":"t-%d","title":"b","projectId":"p-%d"}`, n, n)
	}
	w := newWorld(t, objects(before), func(c *Config) { c.Settle = 300 * time.Millisecond })
	w.factro.set(objects(after))
	messages := func() int64 {
		v, err := w.server.Running.Varz(nil)
		if err != nil {
			t.Fatal(err)
		}
		return v.InMsgs
	}
	began := messages()
	for n := range tasks {
		w.event(n+1, "task", fmt.Sprint("t-", n), "TaskChanged")
	}
	w.covered(tasks)
	if each := (messages() - began) / tasks; each > 15 {
		t.Errorf("each change has led to %d messages to the broker", each)
	}
	if got := len(w.changes()); got != tasks {
		t.Errorf("there are %d changes", got)
	}
}

// TestDropFields: what is dropped is neither stored nor published.
func TestDropFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t, objects(map[string]string{"/projects/p-1": project, "/tasks/t-1": task("t-1", "a")}), func(c *Config) { c.Drop = map[string][]string{"task": {"title"}} })
	w.factro.set(objects(map[string]string{"/projects/p-1": project, "/tasks/t-1": task("t-1", "b"), "/tasks/t-2": task("t-2", "c")}))
	w.event(1, "task", "t-1", "TaskTitleChanged")
	w.event(2, "task", "t-2", "TaskCreated")
	w.covered(2)
	w.wantChanges("task.t-2.created changeDate,id,projectId ")
	if got := w.state("task", "t-1"); got != `{"id":"t-1","projectId":"p-1","changeDate":"x"}` {
		t.Errorf("the copy is %s", got)
	}
}

// TestDropMark: an entry says whether fields were taken out of it, also if nothing else differs from the one before.
func TestDropMark(t *testing.T) {
	t.Parallel()
	bare := `{"id":"t-1","projectId":"p-1","changeDate":"x"}`
	w := newWorld(t, objects(map[string]string{"/projects/p-1": project, "/tasks/t-1": bare}), func(c *Config) { c.Drop = map[string][]string{"task": {"title"}} })
	dropped := func(resource, id string) bool {
		k, err := w.mirror.parts.Store.Entry(t.Context(), resource, id)
		if err != nil || k.Object == nil {
			t.Fatalf("%+v, %v", k, err)
		}
		return k.Dropped
	}
	if dropped("task", "t-1") || dropped("project", "p-1") {
		t.Error("an entry says that it lacks fields, and lacks none")
	}
	w.factro.set(objects(map[string]string{"/projects/p-1": project, "/tasks/t-1": task("t-1", "a")}))
	w.event(1, "task", "t-1", "TaskTitleChanged")
	w.covered(1)
	if got := w.state("task", "t-1"); got != bare || !dropped("task", "t-1") || dropped("project", "p-1") {
		t.Errorf("the copy is %s, and says that it lacks fields: %t", got, dropped("task", "t-1"))
	}
	w.factro.set(objects(map[string]string{"/projects/p-1": project, "/tasks/t-1": bare}))
	w.event(2, "task", "t-1", "TaskTitleChanged")
	w.covered(2)
	if dropped("task", "t-1") {
		t.Error("the entry still says that it lacks fields")
	}
	w.wantChanges()
}

// TestPaused: while an operator has paused the mirror, factro is not asked.
func TestPaused(t *testing.T) {
	t.Parallel()
	w := prepare(t, objects(map[string]string{"/projects/p-1": project}))
	w.pauses.free = make(chan struct{})
	w.run()
	natstest.Eventually(t, "it has begun", func() bool { return w.progress().Sweep != nil })
	w.event(1, "project", "p-1", "ProjectChanged")
	natstest.Eventually(t, "the event waits", func() bool { n, _ := w.mirror.now().queue.Backlog(time.Now()); return n == 1 })
	if got := w.factro.total(); got != 0 {
		t.Errorf("factro was asked %d times", got)
	}
	close(w.pauses.free)
	w.covered(1)
}

// TestByParent: absences are shown by a list alone, so that tells whether one is gone.
func TestByParent(t *testing.T) {
	t.Parallel()
	absence := func(id, kind string) string { return fmt.Sprintf(`{"id":%q,"type":%q}`, id, kind) }
	w := newWorld(t, objects(map[string]string{"/absences/a-1": absence("a-1", "x"), "/absences/a-2": absence("a-2", "x")}), func(c *Config) { c.Resources = []string{"absence"} })
	w.factro.set(objects(map[string]string{"/absences/a-1": absence("a-1", "y")}))
	w.event(1, "absence", "a-1", "AbsenceChanged")
	w.event(2, "absence", "a-2", "AbsenceDeleted")
	w.covered(2)
	if a, b := w.state("absence", "a-1"), w.state("absence", "a-2"); a != absence("a-1", "y") || b != "404" {
		t.Errorf("the copies are %s and %s", a, b)
	}
}

// TestLeaseOver: who has lost the lease writes nothing more.
func TestLeaseOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, objects(map[string]string{"/projects/p-1": project}))
	w.factro.set(objects(map[string]string{"/projects/p-1": `{"id":"p-1","title":"neu"}`}))
	w.reading.mu.Lock()
	w.reading.until = time.Now().Add(-time.Second)
	w.reading.mu.Unlock()
	calls := w.factro.total()
	w.event(1, "project", "p-1", "ProjectChanged")
	natstest.Eventually(t, "the session has ended", func() bool { return w.mirror.now() == nil })
	if got := w.factro.total() - calls; got != 0 || len(w.changes()) != 0 {
		t.Errorf("factro was asked %d times, the changes are %q", got, w.changes())
	}
}

// TestStreamMadeAgain: with another stream of events the mirror begins again: what it has missed is unknown.
func TestStreamMadeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, objects(map[string]string{"/projects/p-1": project}))
	w.factro.set(objects(map[string]string{"/projects/p-1": `{"id":"p-1","title":"neu"}`}))
	w.made.Store(2)
	natstest.Eventually(t, "all is read again", func() bool { p := w.progress(); return p.Created.Unix() == 2 && !p.Complete.IsZero() })
	w.wantChanges("project.p-1.updated title ")
}
