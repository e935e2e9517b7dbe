package echo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/mirror/echo"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// world is a simulated factro with programs and people who change its objects, and a mirror that reads them. It knows who wrote what,
// so it can judge marks. One goroutine does all, so a seed gives the same world.
type world struct {
	t      testing.TB
	random *rand.Rand
	now    time.Time
	cfg    worldConfig
	sim    *sim.Sim
	url    string
	client *http.Client

	recent  *echo.Recent
	objects map[string]*thing // by id
	due     []due
	results []delayedResult
	ids     int
	count   tally
}

type worldConfig struct {
	seed     uint64
	changes  int
	objects  int           // of each kind, about
	together float64       // how often a person edits what a program is just writing
	people   float64       // part of the writes that people make
	same     float64       // how often a value comes from a few
	late     float64       // how often a result comes after the read
	lost     float64       // how often an answer is lost
	lag      time.Duration // how long reads show the state before a write
}

// thing is one object of factro's, and what the mirror has of it.
type thing struct {
	kind, id string
	versions []version
	state    map[string]json.RawMessage // nil: the mirror has none
	seen     int                        // versions in the state
	dirty    bool
}

// version is one write.
type version struct {
	sender, command string // empty for people
	answered        bool
	touched         []string // fields that it wrote, whatever they were; "*" for all
	state           map[string]json.RawMessage
	gone            bool
}

type due struct {
	at time.Time
	of *thing
}

type delayedResult struct {
	at time.Time
	e  event.Event
}

var noise = []string{"changeDate"}

func newWorld(t testing.TB, cfg worldConfig) *world {
	t.Helper()
	w := &world{
		t: t, random: rand.New(rand.NewPCG(cfg.seed, 1)), now: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), cfg: cfg,
		recent: echo.New(echo.Limits{}), objects: map[string]*thing{},
	}
	s, err := sim.New(sim.Config{
		Seed: cfg.seed, Quota: 1 << 30, Now: func() time.Time { return w.now }, Delivery: sim.Delivery{ReadableAfter: cfg.lag},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.sim = s
	server := httptest.NewServer(s.Handler())
	w.url, w.client = server.URL+"/api/core", server.Client()
	t.Cleanup(func() {
		server.Close()
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return w
}

// pass lets time pass, at least a millisecond: factro's clock has no finer one.
func (w *world) pass(most time.Duration) {
	w.now = w.now.Add(time.Millisecond + time.Duration(w.random.Int64N(int64(most))).Truncate(time.Millisecond))
}

func (w *world) maybe(p float64) bool { return w.random.Float64() < p }

func pick[T any](w *world, all []T) T { return all[w.random.IntN(len(all))] }

// request calls factro.
func (w *world) request(method, target string, body []byte) (int, []byte) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+target, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", sim.DefaultKey)
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.StatusCode, data
}

// get reads an object, nil if it is gone.
func (w *world) get(kind, id string) map[string]json.RawMessage {
	w.t.Helper()
	op, field, known := factro.ReaderOf(kind)
	if !known {
		w.t.Fatalf("nobody reads a %s", kind)
	}
	data, err := json.Marshal(map[string]string{field: id})
	if err != nil {
		w.t.Fatal(err)
	}
	call, err := translate.Command(op, data)
	if err != nil {
		w.t.Fatal(err)
	}
	status, body := w.request(call.Method, call.Target, nil)
	if status == http.StatusNotFound {
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); status != http.StatusOK || err != nil {
		w.t.Fatalf("%s %s is answered with %d: %s", kind, id, status, body)
	}
	return fields
}

// actual is an object as the simulator has it, whatever reads show. It is nil if it is gone.
func (w *world) actual(o *thing) map[string]json.RawMessage {
	w.t.Helper()
	for _, have := range w.sim.Objects(o.kind) {
		if have["id"] != o.id {
			continue
		}
		out := map[string]json.RawMessage{}
		for name, value := range have {
			if strings.HasPrefix(name, "_") {
				continue
			}
			text, err := json.Marshal(value)
			if err != nil {
				w.t.Fatal(err)
			}
			out[name] = text
		}
		return out
	}
	return nil
}

// write is one operation with its data, and what it writes.
type write struct {
	operation string
	data      map[string]any
	kind, id  string   // of the object; the id is empty for a create
	touched   []string // "*" for all
}

// do makes the call of a write and notes the new version.
func (w *world) do(wr write, sender, command string) (events.Result, bool) {
	w.t.Helper()
	op, _ := factro.Lookup(wr.operation)
	data, err := json.Marshal(wr.data)
	if err != nil {
		w.t.Fatal(err)
	}
	call, err := translate.Command(op, data)
	if err != nil {
		w.t.Fatalf("%s %s: %v", wr.operation, data, err)
	}
	status, body := w.request(call.Method, call.Target, call.Body)
	r := events.Result{Operation: op.Name, Outcome: events.Applied, Status: status, Attempts: 1}
	switch {
	case status == http.StatusNotFound && op.Method == http.MethodDelete:
	case status > 299:
		return r, false
	default:
		if json.Valid(body) {
			r.Response = body
		}
	}
	r.Resource, _ = translate.Resource(op, call.EntityID, body)
	r = translate.WithSet(r, op, call)
	if status > 299 {
		return r, true
	}
	id := wr.id
	if id == "" {
		id = translate.MadeIDs(op, body)[0]
		w.objects[id] = &thing{kind: wr.kind, id: id}
	}
	v := version{sender: sender, command: command, touched: wr.touched, answered: op.Answer != factro.AnswerVoid, gone: op.Method == http.MethodDelete && strings.HasPrefix(op.Name, "delete")}
	if v.answered && !v.gone {
		if err := json.Unmarshal(body, &v.state); err != nil {
			w.t.Fatal(err)
		}
	}
	w.note(w.objects[id], v)
	return r, true
}

// note notes a version, and that the mirror has to read it.
func (w *world) note(o *thing, v version) {
	if v.state == nil && !v.gone {
		v.state = w.actual(o)
		v.gone = v.state == nil
	}
	if !v.gone && len(o.versions) > 0 && maps.EqualFunc(v.state, o.latest().state, equal) {
		return // it changed nothing, not even a time
	}
	o.versions = append(o.versions, v)
	w.readSoon(o)
}

// readSoon has the mirror read an object in a second or two, once for all that happens until then.
func (w *world) readSoon(o *thing) {
	if o.dirty {
		return
	}
	o.dirty = true
	w.due = append(w.due, due{w.now.Add(time.Second + time.Duration(w.random.IntN(1000))*time.Millisecond), o})
}

// program lets a program send a command, with people at work meanwhile.
func (w *world) program() {
	wr, ok := w.newWrite()
	if !ok {
		return
	}
	sender := pick(w, []string{"urn:a", "urn:a", "urn:b", ""})
	w.ids++
	id := "c" + strconv.Itoa(w.ids)
	started := w.now
	meddle := func() {
		w.pass(40 * time.Millisecond)
		if wr.id != "" && w.maybe(w.cfg.together) {
			w.person(w.objects[wr.id])
			w.pass(20 * time.Millisecond)
		}
	}
	meddle()
	r, ok := w.do(wr, sender, id)
	if !ok {
		return
	}
	if w.maybe(w.cfg.lost) {
		meddle()
		if r, ok = w.lose(wr, r, sender, id); !ok {
			return
		}
	}
	meddle()
	finished := w.now
	r.StartedAt, r.FinishedAt = started, &finished
	w.publish(r, sender, id)
}

// lose lets the answer to a command be lost, and the bridge find out what it did.
func (w *world) lose(wr write, r events.Result, sender, id string) (events.Result, bool) {
	w.pass(500 * time.Millisecond)
	if wr.id == "" { // it finds the object, as it is by now
		made := translate.MadeIDs(mustLookup(wr.operation), r.Response)[0]
		if w.cfg.people > 0 && w.maybe(0.3) {
			w.person(w.objects[made])
			w.pass(50 * time.Millisecond)
		}
		state, err := json.Marshal(w.actual(w.objects[made]))
		if err != nil {
			w.t.Fatal(err)
		}
		r.Response, r.Adopted = state, true
		return r, !w.objects[made].latest().gone
	}
	r, ok := w.do(wr, sender, id) // it calls again
	r.Attempts = 2
	return r, ok
}

func mustLookup(name string) factro.Operation {
	op, _ := factro.Lookup(name)
	return op
}

// publish makes the event of a result, and has it come a little later.
func (w *world) publish(r events.Result, sender, id string) {
	w.t.Helper()
	cmd := events.Command{Address: events.Address{Cloud: "acme", Operation: r.Operation}, Event: event.New(), Position: "S:" + id}
	cmd.Event.SetID(id)
	cmd.Event.SetSource(sender)
	cmd.Plain = sender == ""
	e, err := translate.Result(cmd, r, "", w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	after := time.Duration(w.random.IntN(200)) * time.Millisecond
	if w.maybe(w.cfg.late) {
		after = 3 * time.Second
	}
	w.results = append(w.results, delayedResult{w.now.Add(after), e})
}

// person lets somebody edit an object.
func (w *world) person(o *thing) {
	if o == nil || o.latest().gone {
		return
	}
	wr := w.edit(o)
	if wr.operation == "deleteTask" || wr.operation == "deleteCompany" {
		if !w.maybe(0.2) {
			return
		}
	}
	w.do(wr, "", "")
}

func (o *thing) latest() version {
	if len(o.versions) == 0 {
		return version{}
	}
	return o.versions[len(o.versions)-1]
}

// catchUp delivers results and reads what is due.
func (w *world) catchUp() {
	w.results = slices.DeleteFunc(w.results, func(r delayedResult) bool {
		if r.at.After(w.now) {
			return false
		}
		commands, err := echo.FromResult(r.e)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, c := range commands {
			w.recent.Add(c)
		}
		return true
	})
	var now []*thing
	w.due = slices.DeleteFunc(w.due, func(d due) bool {
		if d.at.After(w.now) {
			return false
		}
		now = append(now, d.of)
		return true
	})
	for _, o := range now {
		w.read(o)
	}
}

// read reads an object as the mirror does, and judges the mark of the change.
func (w *world) read(o *thing) {
	readAt := w.now
	before, after := o.state, w.get(o.kind, o.id)
	from, to := o.seen, o.shown(after)
	interval := o.versions[from:to]
	o.state, o.seen, o.dirty = after, to, false
	if to < len(o.versions) {
		w.readSoon(o)
	}
	changed := differences(before, after)
	if len(changed) == 0 && (before == nil) == (after == nil) {
		w.recent.Seen(o.kind, o.id, readAt)
		return
	}
	m, marked := w.recent.Mark(o.kind, o.id, before, after, changed, readAt)
	w.count.judge(w.t, judged{interval: interval, before: before, after: after, changed: changed, mark: m, marked: marked})
	if after == nil {
		delete(w.objects, o.id)
	}
}

// shown is how many versions a state that was read has.
func (o *thing) shown(state map[string]json.RawMessage) int {
	for n := len(o.versions); n > o.seen; n-- {
		if v := o.versions[n-1]; v.gone == (state == nil) && (v.gone || maps.EqualFunc(v.state, state, equal)) {
			return n
		}
	}
	return o.seen
}

func equal(a, b json.RawMessage) bool { return bytes.Equal(a, b) }

// differences are the fields that differ, without noise.
func differences(before, after map[string]json.RawMessage) []string {
	var out []string
	all := maps.Clone(before)
	if all == nil {
		all = map[string]json.RawMessage{}
	}
	maps.Copy(all, after)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !bytes.Equal(before[name], after[name]) && !slices.Contains(noise, name) {
			out = append(out, name)
		}
	}
	return out
}

// some returns an object of a kind.
func (w *world) some(kind string) *thing {
	var all []*thing
	for _, id := range slices.Sorted(maps.Keys(w.objects)) {
		if o := w.objects[id]; o.kind == kind && !o.latest().gone {
			all = append(all, o)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return pick(w, all)
}

func (w *world) text(prefix string) any {
	if w.maybe(w.cfg.same) {
		return prefix + strconv.Itoa(w.random.IntN(3))
	}
	w.ids++
	return prefix + " " + strconv.Itoa(w.ids)
}

func (w *world) date() any {
	return time.Date(2026, 4, 1+w.random.IntN(28), 8, 0, 0, 0, time.UTC).Format("2006-01-02T15:04:05.000Z")
}

// newWrite is what a program writes next.
func (w *world) newWrite() (write, bool) {
	kind := pick(w, []string{"task", "task", "task", "task", "task", "task", "project", "package", "company"})
	count := 0
	for _, o := range w.objects {
		if o.kind == kind {
			count++
		}
	}
	if count < w.cfg.objects && (count == 0 || w.maybe(0.3)) {
		return w.create(kind), true
	}
	o := w.some(kind)
	if o == nil {
		return write{}, false
	}
	return w.edit(o), true
}

func (w *world) create(kind string) write {
	switch kind {
	case "task":
		return write{"createTask", map[string]any{"title": w.text("T"), "targetParentId": factro.ExamplePackage, "endDate": w.date()}, kind, "", []string{"*"}}
	case "project":
		return write{"createProject", map[string]any{"title": w.text("P")}, kind, "", []string{"*"}}
	case "package":
		return write{"createPackage", map[string]any{"projectId": factro.ExampleProject, "title": w.text("K")}, kind, "", []string{"*"}}
	}
	return write{"createCompany", map[string]any{"name": w.text("C")}, "company", "", []string{"*"}}
}

// edit is a change of an object, by a program or a person.
func (w *world) edit(o *thing) write {
	if o.kind == "task" {
		return w.editTask(o)
	}
	all := map[string]func() any{"description": func() any { return w.text("d") }}
	name, data := "updateCompany", map[string]any{}
	switch o.kind {
	case "project":
		name, data["projectId"] = "updateProject", o.id
		all["title"], all["plannedEndDate"] = func() any { return w.text("P") }, w.date
	case "package":
		name, data["packageId"], data["projectId"] = "updatePackage", o.id, factro.ExampleProject
		all["title"], all["endDate"] = func() any { return w.text("K") }, w.date
	default:
		data["companyId"] = o.id
		if w.maybe(0.1) {
			return write{"deleteCompany", data, o.kind, o.id, []string{"*"}}
		}
		all["name"], all["city"] = func() any { return w.text("C") }, func() any { return w.text("city") }
	}
	return write{name, data, o.kind, o.id, w.fill(data, all)}
}

// fill sets one to three fields.
func (w *world) fill(data map[string]any, all map[string]func() any) []string {
	var touched []string
	names := slices.Sorted(maps.Keys(all))
	for range 1 + w.random.IntN(3) {
		name := pick(w, names)
		data[name] = all[name]()
		if !slices.Contains(touched, name) {
			touched = append(touched, name)
		}
	}
	return touched
}

func (w *world) editTask(o *thing) write {
	data := map[string]any{"taskId": o.id}
	as := func(operation string, touched ...string) write { return write{operation, data, o.kind, o.id, touched} }
	switch w.random.IntN(20) {
	case 0:
		return as("deleteTask", "*")
	case 1, 2:
		data["state"] = pick(w, []string{"planned", "inProcess", "review", "pushedBack"})
		return as("setTaskState", "taskState", "pausedUntil")
	case 3:
		data["projectId"] = factro.ExampleProject
		return as("moveTaskToProject", "projectId", "parentPackageId")
	case 4:
		data["packageId"] = factro.ExamplePackage
		return as("moveTaskToPackage", "projectId", "parentPackageId")
	case 5:
		data["companyId"] = pick(w, []string{factro.ExampleCompany, factro.ExampleOtherCompany})
		return as("setTaskCompany", "companyId")
	case 6:
		return as("removeTaskCompany", "companyId")
	case 7:
		data["targetParentId"], data["title"] = pick(w, []string{factro.ExamplePackage, factro.ExampleProject}), w.text("T")
		return as("updateTask", "title", "projectId", "parentPackageId")
	}
	return as("updateTask", w.fill(data, map[string]func() any{
		"title": func() any { return w.text("T") }, "description": func() any { return w.text("d") }, "endDate": w.date,
		"urgency": func() any { return pick(w, []string{"normal", "due"}) }, "plannedEffort": func() any { return w.random.IntN(9) },
	})...)
}

// run lets the world go on until the mirror has seen so many changes.
func (w *world) run() tally {
	for w.count.changes < w.cfg.changes {
		w.pass(400 * time.Millisecond)
		w.catchUp()
		if w.maybe(w.cfg.people) {
			w.person(w.some(pick(w, []string{"task", "task", "task", "task", "task", "task", "project", "package", "company"})))
			continue
		}
		w.program()
	}
	return w.count
}
