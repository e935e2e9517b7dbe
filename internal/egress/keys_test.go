package egress

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/externalkey"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// fakeKeys implements Keys.
type fakeKeys struct {
	mu      sync.Mutex
	entries map[string]keys.Entry
	queued  map[string]bool // by the positions of commands
	fail    func(step string) error
}

func (k *fakeKeys) step(name string) error {
	if k.fail == nil {
		return nil
	}
	return k.fail(name)
}

func (k *fakeKeys) Look(_ context.Context, _, kind, key string) (keys.Entry, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, known := k.entries[kind+" "+key]
	return e, known, k.step("look")
}

func (k *fakeKeys) Queued(_ context.Context, o keys.Owner) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.queued[o.Position], k.step("queued")
}

func (k *fakeKeys) Reserve(_ context.Context, _, kind, key string, owner keys.Owner) (keys.Entry, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.step("reserve"); err != nil {
		return keys.Entry{}, false, err
	}
	if e, known := k.entries[kind+" "+key]; known {
		return e, e.OwnedBy(string(owner.Command)), nil
	}
	k.entries[kind+" "+key] = keys.Entry{Kind: kind, Key: key, Owner: &owner}
	return k.entries[kind+" "+key], true, nil
}

func (k *fakeKeys) Complete(_ context.Context, _, kind, key, command, id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.step("complete"); err != nil {
		return err
	}
	if e := k.entries[kind+" "+key]; e.OwnedBy(command) {
		k.entries[kind+" "+key] = keys.Entry{Kind: kind, Key: key, ID: id, Nameless: id == ""}
	}
	return nil
}

func (k *fakeKeys) Release(_ context.Context, _, kind, key, command string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.entries[kind+" "+key]; e.OwnedBy(command) {
		delete(k.entries, kind+" "+key)
	}
	return k.step("release")
}

func (k *fakeKeys) Forget(_ context.Context, _ string, e keys.Entry) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.entries[e.Kind+" "+e.Key].ID == e.ID {
		delete(k.entries, e.Kind+" "+e.Key)
	}
	return k.step("forget")
}

func (k *fakeKeys) ForgetID(_ context.Context, _, kind, id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, e := range k.entries {
		if e.Kind == kind && e.ID == id {
			delete(k.entries, key)
		}
	}
	return k.step("forget id")
}

func (k *fakeKeys) set(kind, key, id string) {
	k.entries[kind+" "+key] = keys.Entry{Kind: kind, Key: key, ID: id}
}

// state is the id that the key JIRA-17 of a task stands for: "" if it is free, "pending" if a command has reserved it.
func (k *fakeKeys) state() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.entries["task JIRA-17"]
	if e.Pending() {
		return "pending"
	}
	return e.ID
}

// upsert is a create with an external key, as the command with that id.
func upsert(id string, ext ...any) events.Command {
	c := command("createTask", `{"title":"T","targetParentId":"p-1"}`, append([]any{"externalkey", "JIRA-17"}, ext...)...)
	c.Event.SetID(id)
	c.Position = "FACTRO_COMMANDS:" + id
	return c
}

// again drops what was recorded.
func (r *rig) again() { r.stores.sent, r.Lines = nil, nil }

var made = apitest.OK(`{"id":"t-9"}`)

// TestExternalKey: the first create makes the object, and the next ones get it.
func TestExternalKey(t *testing.T) {
	t.Parallel()
	r := newRig(t, apitest.Always(made))
	if s := r.wantDone(r.do(upsert("c-1")), events.Applied, ""); s.result.Existing || r.keys.state() != "t-9" {
		t.Errorf("the key is %q: %s", r.keys.state(), s.event.Data())
	}
	for range 2 { // the second time is a redelivery
		r.again()
		s := r.wantDone(r.do(upsert("c-2")), events.Applied, "")
		if !s.result.Existing || s.result.Resource == nil || s.result.Resource.ID != "t-9" || s.event.Subject() != "task/t-9" ||
			s.event.Extensions()["existing"] != true || r.Count("call") != 0 || s.result.Set != nil {
			t.Errorf("the result is %s, %s: %s", s.event, s.event.Data(), r)
		}
	}
	// What a command got once it gets again, although the key is free by now.
	delete(r.keys.entries, "task JIRA-17")
	r.again()
	if s := r.wantDone(r.do(upsert("c-2")), events.Applied, ""); !s.result.Existing || r.Count("call") != 0 {
		t.Errorf("the result is %s: %s", s.event.Data(), r)
	}
	r.again()
	r.wantDone(r.do(upsert("c-2", "onconflict", "update")), events.Rejected, "conflict") // another command with this id
}

// TestUpsertUpdates: with onconflict update the object is updated with what the update takes.
func TestUpsertUpdates(t *testing.T) {
	t.Parallel()
	r := newRig(t, apitest.Always(made))
	r.keys.set("task", "JIRA-17", "t-1")
	s := r.wantDone(r.do(upsert("c-1", "onconflict", "update")), events.Applied, "")
	if !s.result.Existing || s.result.Resource.ID != "t-1" || s.result.Operation != "createTask" || string(s.result.Set) != `{"targetParentId":"p-1","title":"T"}` || r.Count("call PUT /api/core/tasks/t-1") != 1 || r.Count("call") != 1 {
		t.Errorf("the result is %s: %s", s.event.Data(), r)
	}
	r.again()
	if s := r.wantDone(r.do(upsert("c-1", "onconflict", "update")), events.Applied, ""); r.Count("call") != 0 || !s.result.Existing {
		t.Errorf("the result of the redelivery is %s: %s", s.event.Data(), r)
	}
}

// TestUpsertOfDeleted: an update that finds no object becomes the create. If factro has the object all the same, the command is refused.
func TestUpsertOfDeleted(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]bool{"gone": true, "there": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(q *http.Request, _ string) apitest.Reply {
				switch {
				case q.Method == http.MethodPut, q.Method == http.MethodGet && !apitest.IsProbe(q) && gone:
					return apitest.Reply{Status: 404, Body: "no"}
				}
				return made
			})
			r.keys.set("task", "JIRA-17", "t-1")
			verdict := r.do(upsert("c-1", "onconflict", "update"))
			if !gone {
				r.wantDone(verdict, events.Rejected, "refused")
				if r.Count("call POST") != 0 || r.keys.state() != "t-1" {
					t.Errorf("the key is %q: %s", r.keys.state(), r)
				}
				return
			}
			s := r.wantDone(verdict, events.Applied, "")
			if s.result.Existing || s.result.Resource.ID != "t-9" || r.keys.state() != "t-9" || r.Count("call PUT") != 1 || r.Count("call POST") != 1 {
				t.Errorf("the key is %q, the result %s: %s", r.keys.state(), s.event.Data(), r)
			}
		})
	}
}

// TestKeyFreed: a create that made nothing frees its key, and a deletion that of its object.
func TestKeyFreed(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]apitest.Reply{"refused": {Status: 422, Body: "no"}, "ambiguous": {Status: 502}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, unsearchable(apitest.Always(answer)))
				_ = r.do(upsert("c-1"))
				if s := r.only(); s.result.Outcome == events.Applied || r.keys.state() != "" {
					t.Errorf("the key is %q after %s", r.keys.state(), s.event.Data())
				}
			})
		})
	}
	for name, c := range map[string]events.Command{"id": remove(), "key": command("deleteTask", `{"taskId":{"externalkey":"JIRA-17"}}`)} {
		r := newRig(t, apitest.Always(apitest.Reply{Status: 404}))
		r.keys.set("task", "JIRA-17", "t-1")
		r.wantDone(r.do(c), events.Applied, "")
		if r.keys.state() != "" || r.Count("call DELETE /api/core/tasks/t-1") != 1 {
			t.Errorf("by %s: the key is %q: %s", name, r.keys.state(), r)
		}
	}
	// Freeing the key does not hold up the deletion.
	r := newRig(t, apitest.Always(apitest.OK("")))
	r.keys.fail = func(string) error { return errors.New("away") }
	r.wantDone(r.do(remove()), events.Applied, "")
}

// TestKeyPending: a command waits while another one has reserved the key, and goes on as soon as that has ended in whatever way.
func TestKeyPending(t *testing.T) {
	t.Parallel()
	first := upsert("c-1")
	result := func(o events.Outcome) json.RawMessage {
		data, err := json.Marshal(events.Result{Operation: "createTask", Outcome: o, Error: &events.Error{Code: "refused"}})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, tt := range map[string]struct {
		record  *ledger.Record // of the first command
		queued  bool
		waits   bool
		existed bool
		redrive string
	}{
		"not begun":                    {queued: true, waits: true},
		"in between":                   {record: &ledger.Record{}, queued: true, waits: true},
		"gone without a trace":         {},
		"gone without a verdict":       {record: &ledger.Record{}},
		"rejected":                     {record: &ledger.Record{Result: result(events.Rejected)}, queued: true},
		"dead":                         {record: &ledger.Record{Result: result(events.Dead)}},
		"applied, and the key was not": {record: &ledger.Record{Result: result(events.Applied), Made: []string{"t-1"}}, existed: true},
		"dead, and redriven":           {record: &ledger.Record{Result: result(events.Dead)}, redrive: "7", queued: true, waits: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, apitest.Always(made))
			owner := keys.OwnerOf(first)
			owner.Redrive = tt.redrive
			r.keys.entries["task JIRA-17"] = keys.Entry{Kind: "task", Key: "JIRA-17", Owner: &owner}
			r.keys.queued[first.Position] = tt.queued
			if tt.record != nil {
				r.stores.ledger["acme "+first.Identity()] = *tt.record
			}
			use := command("setTaskState", `{"taskId":{"externalkey":"JIRA-17"},"state":"review"}`)
			use.Event.SetID("c-3")
			if tt.waits {
				wantRetry(t, r.do(upsert("c-2")))
				wantRetry(t, r.do(use))
				if r.Count("call") != 0 || len(r.stores.sent) != 0 {
					t.Errorf("unexpected steps: %s", r)
				}
				return
			}
			s := r.wantDone(r.do(upsert("c-2")), events.Applied, "")
			want := "t-9"
			if tt.existed {
				want = "t-1"
			}
			if s.result.Existing != tt.existed || s.result.Resource.ID != want || r.keys.state() != want {
				t.Errorf("the key is %q: %s", r.keys.state(), s.event.Data())
			}
			r.again()
			r.wantDone(r.do(use), events.Applied, "")
			if r.Count("call PUT /api/core/tasks/"+want+"/state") != 1 {
				t.Errorf("unexpected steps: %s", r)
			}
		})
	}
}

// makers implements externalkey.Queue: at which places in the stream something is made, by its key.
type makers map[string]uint64

func (m makers) MakesBefore(_, key string, sequence uint64) bool {
	at, known := m[key]
	return known && at < sequence
}

// TestKeyOfEarlier: a key that an earlier command gives to what it creates is not unknown, though that command has not begun.
func TestKeyOfEarlier(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"taskId":{"externalkey":"JIRA-17"},"state":"review"}`: "setTaskState",
		`{"title":"T","targetParentId":{"externalkey":"P"}}`:    "createTask",
	} {
		r := newRig(t, apitest.Always(made))
		create := upsert("c-1")
		key := r.w.Makes(create)
		use := command(want, data)
		use.Position = "FACTRO_COMMANDS_ACME:7"
		if want == "setTaskState" && (key != "task/externalkey/JIRA-17" || r.w.Lane(create) != key || r.w.Lane(use) != key || r.w.Makes(use) != "") {
			t.Errorf("a create makes %q and is in the lane %q, and its use in %q", key, r.w.Lane(create), r.w.Lane(use))
		}
		queue := makers{key: 6, "project/externalkey/P": 6}
		r.w.external = externalkey.New("acme", r.keys, r.stores, queue)
		wantRetry(t, r.do(use))
		if r.Count("call") != 0 || len(r.stores.sent) != 0 {
			t.Errorf("unexpected steps: %s", r)
		}
		for k := range queue {
			queue[k] = 8 // later ones
		}
		s := r.wantDone(r.do(use), events.Rejected, events.CodeUnknownKey)
		if s.result.Resource != nil && s.result.Resource.ID != "" {
			t.Errorf("the result has the object %+v", s.result.Resource)
		}
	}
}

// TestKeyCrashes: the process dies around the call, and the next delivery goes on with the same object.
func TestKeyCrashes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // between the key and the ledger
		r := newRig(t, apitest.Always(made))
		owner := keys.OwnerOf(upsert("c-1"))
		r.keys.entries["task JIRA-17"] = keys.Entry{Kind: "task", Key: "JIRA-17", Owner: &owner}
		r.wantDone(r.do(upsert("c-1")), events.Applied, "")
		if r.keys.state() != "t-9" || r.Count("call POST") != 1 {
			t.Errorf("the key is %q: %s", r.keys.state(), r)
		}
	})
	synctest.Test(t, func(t *testing.T) { // between the ledger and the key: the result is there, and the key is not complete
		r := newRig(t, apitest.Always(made))
		r.keys.fail = func(step string) error {
			if step == "complete" {
				return errors.New("away")
			}
			return nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if verdict := r.w.Handle(ctx, ctx, upsert("c-1"), nil); verdict == nil || r.keys.state() != "pending" {
			t.Fatalf("the verdict is %v, the key %q", verdict, r.keys.state())
		}
		r.keys.fail = nil
		r.wantDone(r.do(upsert("c-1")), events.Applied, "")
		if r.keys.state() != "t-9" || r.Count("call POST") != 1 {
			t.Errorf("the key is %q: %s", r.keys.state(), r)
		}
	})
	synctest.Test(t, func(t *testing.T) { // after the call: what it has made is found
		listed := `[{"id":"t-9","title":"T","parentId":"p-1","creationDate":""}]`
		posts := 0
		r := newRig(t, func(q *http.Request, body string) apitest.Reply {
			switch {
			case apitest.IsProbe(q):
				return apitest.OK(apitest.Fits)
			case q.Method == http.MethodPost:
				posts++
				var sent struct{ CreationDate string }
				if err := json.Unmarshal([]byte(body), &sent); err != nil {
					t.Error(err)
				}
				listed = strings.Replace(listed, `"creationDate":""`, `"creationDate":"`+sent.CreationDate+`"`, 1)
				return apitest.Reset
			case strings.Contains(q.URL.Path, "/packages/"):
				return apitest.Reply{Status: 404}
			}
			return apitest.OK(listed)
		})
		s := r.wantDone(r.do(upsert("c-1")), events.Applied, "")
		if !s.result.Adopted || r.keys.state() != "t-9" || posts != 1 {
			t.Errorf("the key is %q, %d calls: %s", r.keys.state(), posts, s.event.Data())
		}
	})
}

// TestKeyWithoutID: factro answers a create without an id. The key is not used for a second object.
func TestKeyWithoutID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, unsearchable(apitest.Always(apitest.Reply{Status: 201})))
		r.wantDone(r.do(upsert("c-1")), events.Applied, "")
		r.again()
		r.wantDone(r.do(upsert("c-2")), events.Rejected, "unknown-key")
		if r.Count("call POST") != 0 {
			t.Errorf("unexpected steps: %s", r)
		}
	})
}

// TestKeyRedriven: a dead create that an operator sends once more takes its key again, or gets the object that has it by now.
func TestKeyRedriven(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := true
		r := newRig(t, func(*http.Request, string) apitest.Reply {
			if broken {
				return apitest.Reply{Status: 422, Body: "no"}
			}
			return made
		})
		r.wantDone(r.do(upsert("c-1")), events.Rejected, "refused")
		broken = false
		r.again()
		redriven := upsert("c-1")
		redriven.Redrive = "3"
		r.wantDone(r.do(redriven), events.Applied, "")
		if r.keys.state() != "t-9" || r.Count("call POST") != 1 {
			t.Errorf("the key is %q: %s", r.keys.state(), r)
		}
	})
	r := newRig(t, apitest.Always(apitest.Reply{Status: 422, Body: "no"}))
	r.wantDone(r.do(upsert("c-1")), events.Rejected, "refused")
	r.keys.set("task", "JIRA-17", "t-1")
	r.again()
	redriven := upsert("c-1")
	redriven.Redrive = "3"
	if s := r.wantDone(r.do(redriven), events.Applied, ""); !s.result.Existing || s.result.Resource.ID != "t-1" || r.Count("call") != 0 {
		t.Errorf("the result is %s: %s", s.event.Data(), r)
	}
}

// TestKeyRefs: commands name objects by external keys; one that is not known is the sender's mistake.
func TestKeyRefs(t *testing.T) {
	t.Parallel()
	use := func() events.Command {
		return command("createTask", `{"title":"T","targetParentId":{"externalkey":"P"},"executorId":{"externalkey":"E"}}`)
	}
	var body string
	r := newRig(t, func(_ *http.Request, b string) apitest.Reply { body = b; return made })
	s := r.wantDone(r.do(use()), events.Rejected, "unknown-key")
	var fields []events.FieldError
	if err := json.Unmarshal(s.result.Error.Detail, &fields); err != nil || len(fields) != 2 || fields[0].Pointer != "/executorId" || fields[1].Pointer != "/targetParentId" ||
		!strings.Contains(fields[1].Message, `no package or project with the external key "P"`) || len(r.stores.ledger) != 0 {
		t.Errorf("the error is %s", s.event.Data())
	}
	r.again()
	r.keys.set("project", "P", "p-1")
	r.keys.set("user", "E", "u-1")
	r.wantDone(r.do(use()), events.Applied, "")
	if !strings.Contains(body, `"executorId":"u-1"`) || !strings.Contains(body, `"targetParentId":"p-1"`) {
		t.Errorf("the body is %s", body)
	}
	// A command that has ended keeps its result, and one that has begun its objects.
	r.again()
	r.keys.entries = map[string]keys.Entry{}
	r.wantDone(r.do(use()), events.Applied, "")

	r.again()
	r.keys.set("project", "P", "p-1")
	r.keys.set("package", "P", "k-1")
	r.keys.set("user", "E", "u-1")
	other := use()
	other.Event.SetID("c-9")
	r.wantDone(r.do(other), events.Rejected, "invalid")
}

// TestBegunRefs: a later delivery goes on with the ids of the first one.
func TestBegunRefs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, apitest.Sequence(apitest.Reply{Hang: true}, apitest.OK(apitest.Fits)))
		r.keys.set("task", "JIRA-17", "t-1")
		use := command("setTaskState", `{"taskId":{"externalkey":"JIRA-17"},"state":"review"}`)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if verdict := r.w.Handle(ctx, ctx, use, nil); verdict == nil {
			t.Fatal("the command is settled")
		}
		r.keys.set("task", "JIRA-17", "t-2")
		r.wantDone(r.do(use), events.Applied, "")
		if r.Count("call PUT /api/core/tasks/t-1/state") != 2 {
			t.Errorf("unexpected steps: %s", r)
		}
	})
}

// TestKeyOfMissing: a 404 frees the key that named the object, if factro does not know the object.
func TestKeyOfMissing(t *testing.T) {
	t.Parallel()
	for _, gone := range []bool{true, false} {
		r := newRig(t, func(q *http.Request, _ string) apitest.Reply {
			if q.Method == http.MethodGet && !gone {
				return apitest.OK(apitest.Fits)
			}
			return apitest.Reply{Status: 404, Body: "no"}
		})
		r.keys.set("task", "JIRA-17", "t-1")
		r.wantDone(r.do(command("setTaskState", `{"taskId":{"externalkey":"JIRA-17"},"state":"review"}`)), events.Rejected, "refused")
		if free := r.keys.state() == ""; free != gone {
			t.Errorf("gone %t, freed %t: %s", gone, free, r)
		}
	}
}

// TestBadKeys: nothing is called and no key is reserved.
func TestBadKeys(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]events.Command{
		"attribute externalkey is an empty external key":               command("createTask", `{"title":"T","targetParentId":"p-1"}`, "externalkey", ""),
		"attribute externalkey is an external key of 513 bytes":        command("createTask", `{"title":"T","targetParentId":"p-1"}`, "externalkey", strings.Repeat("x", 513)),
		"attribute externalkey is a int32, want a string":              command("createTask", `{"title":"T","targetParentId":"p-1"}`, "externalkey", 17),
		"updateTask creates no single object":                          command("updateTask", `{"taskId":"t-1"}`, "externalkey", "K"),
		"createTasks creates no single object":                         command("createTasks", `{"items":[{"title":"T","targetParentId":"p-1"}]}`, "externalkey", "K"),
		"attribute onconflict is set, but there is no externalkey":     command("createTask", `{"title":"T","targetParentId":"p-1"}`, "onconflict", "update"),
		`attribute onconflict is "merge", want "existing" or "update"`: command("createTask", `{"title":"T","targetParentId":"p-1"}`, "externalkey", "K", "onconflict", "merge"),
		"factro has no update for what createTaskComment creates":      command("createTaskComment", `{"taskId":"t-1","text":"T"}`, "externalkey", "K", "onconflict", "update"),
		"/creationDate: updateTask does not take this property":        command("createTask", `{"title":"T","targetParentId":"p-1","creationDate":"2026-01-01T00:00:00.000Z"}`, "externalkey", "K", "onconflict", "update"),
		"/taskId/externalkey: an empty external key":                   command("updateTask", `{"taskId":{"externalkey":""}}`),
		"/taskId/externalkey: a number, want a string":                 command("updateTask", `{"taskId":{"externalkey":17}}`),
		`property "title" is missing and required`:                     command("createTask", `{"targetParentId":{"externalkey":"P"}}`, "externalkey", "K"),
	} {
		r := newRig(t, apitest.Always(made))
		s := r.wantDone(r.do(c), events.Rejected, "invalid")
		if !strings.Contains(s.result.Error.Message, want) || len(r.keys.entries) != 0 || r.Count("call") != 0 {
			t.Errorf("the error is %q, want %q: %s", s.result.Error.Message, want, r)
		}
	}
}

// TestKeyDryRun: a dry run tells what would be done, and reserves nothing.
func TestKeyDryRun(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		conflict string
		exists   bool
		method   string
	}{"new": {"existing", false, "POST"}, "there": {"existing", true, ""}, "update": {"update", true, "PUT"}} {
		r := newRig(t, apitest.Always(made))
		if tt.exists {
			r.keys.set("task", "JIRA-17", "t-1")
		}
		s := r.wantDone(r.do(upsert("c-1", "onconflict", tt.conflict, "dryrun", true)), events.Applied, "")
		result, err := events.ResultOf(s.event)
		if err != nil {
			t.Fatal(err)
		}
		call, err := result.PlannedCall()
		if s.result.Existing != tt.exists || tt.method != call.Method || (err == nil) != (tt.method != "") || r.Count("call") != 0 || len(r.stores.ledger) != 0 ||
			!tt.exists && r.keys.state() != "" {
			t.Errorf("%s: %s, %v: %s", name, s.event.Data(), err, r)
		}
	}
}
