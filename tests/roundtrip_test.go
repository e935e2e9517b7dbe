package tests

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	factroapi "github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

const prefix = events.Prefix(events.DefaultPrefix)

func subjectOf(t testing.TB, cloud, operation string) string {
	t.Helper()
	op, ok := factroapi.Lookup(operation)
	if !ok {
		t.Fatalf("there is no operation %s", operation)
	}
	return prefix.Command(cloud, op.Resource, operation)
}

// newTask is the data of a createTask command.
func newTask(f *factro, title string) string {
	data, _ := json.Marshal(map[string]string{"title": title, "targetParentId": f.demo.Package, "description": payloadMarker})
	return string(data)
}

func tasksWithTitle(f *factro, title string) int {
	return f.Count("task", func(o map[string]any) bool { return o["title"] == title })
}

// A command makes a task at factro, whose webhook makes an event.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	b.register(f, "acme")
	_, js := n.Connect(t)
	results, stream := watchStream(t, js, prefix.ResultStream("acme")), watchStream(t, js, prefix.EventStream("acme"))

	const traceID = "0af7651916cd43dd8448eb211c80319c"
	msg := nats.NewMsg(subjectOf(t, "acme", "createTask"))
	msg.Data = []byte(newTask(f, "Prüfung"))
	msg.Header.Set("traceparent", "00-"+traceID+"-b7ad6b7169203331-01")
	msg.Header.Set(events.HeaderMessageID, "first")
	publish(t, js, msg)

	r := results.finalOf(t, "first")
	if r.Outcome != events.Applied || r.Status != 200 || r.Attempts != 1 || r.Resource == nil || r.Resource.Type != "task" {
		t.Fatalf("got the result %+v", r)
	}
	if tasksWithTitle(f, "Prüfung") != 1 {
		t.Errorf("factro has %d tasks of this title, want 1", tasksWithTitle(f, "Prüfung"))
	}
	if want := fmt.Sprintf("/%s/?p=task&pi=%s", f.demo.MandantID[:8], r.Resource.ID); !strings.HasSuffix(r.Resource.URL, want) {
		t.Errorf("the link is %q, want …%s", r.Resource.URL, want)
	}
	result := results.all()[0]
	if want := "factro.result.acme.task.createTask.applied"; result.subject != want {
		t.Errorf("the result is on %s, want %s", result.subject, want)
	}
	if got := result.event; got.ID() != "first.applied" || got.Subject() != "task/"+r.Resource.ID || got.Source() != "urn:factro:bridge:acme" {
		t.Errorf("the result event is\n%s", got)
	}
	for _, h := range []string{"traceparent", "ce-traceparent"} {
		if got := result.header[h]; len(got) != 1 || !strings.Contains(got[0], traceID) {
			t.Errorf("the result's %s is %v, want the trace of the command", h, got)
		}
	}

	e := stream.find(t, "the event of the new task", func(m message) bool { return strings.Contains(m.subject, r.Resource.ID) })
	if want := "factro.event.acme.task." + r.Resource.ID + ".TaskCreated"; e.subject != want {
		t.Errorf("the event is on %s, want %s", e.subject, want)
	}
	if got := e.event; got.Type() != "com.factro.TaskCreated" || got.Subject() != "task/"+r.Resource.ID || got.Source() != "urn:factro:cloud:acme" {
		t.Errorf("the event is\n%s", got)
	}
	if want := fmt.Sprintf(`{"action":"TaskCreated","context":{"entityId":"%s"}}`, r.Resource.ID); string(e.data) != want {
		t.Errorf("the data is %s, want %s", e.data, want)
	}
	if e.header["ce-traceparent"] == nil || e.header["ce-factroorigin"][0] != "webhook" {
		t.Errorf("the event's headers are %v", e.header)
	}
}

// Two clouds share a bridge and see nothing of each other.
func TestTwoClouds(t *testing.T) {
	t.Parallel()
	n := natstest.Start(t)
	red, blue := startFactro(t, sim.Config{}), startFactro(t, sim.Config{MandantID: "1b1b1b1b-0000-4000-8000-0000000000bb"})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"red": red.url, "blue": blue.url}}).start()
	b.register(red, "red")
	b.register(blue, "blue")
	_, js := n.Connect(t)
	results, streams := map[string]*watch{}, map[string]*watch{}
	for _, cloud := range []string{"red", "blue"} {
		results[cloud], streams[cloud] = watchStream(t, js, prefix.ResultStream(cloud)), watchStream(t, js, prefix.EventStream(cloud))
	}

	// The same id in two clouds is two commands.
	send(t, js, "red", "createTask", "same-id", newTask(red, "for red"))
	msg := nats.NewMsg(subjectOf(t, "blue", "createTask"))
	msg.Data = []byte(newTask(blue, "for blue"))
	msg.Header = nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"same-id"}, "ce-source": {"urn:test"}, "ce-type": {"com.factro.command.createTask"}}
	publish(t, js, msg)
	for cloud, f := range map[string]*factro{"red": red, "blue": blue} {
		m := results[cloud].find(t, "the result for "+cloud, func(m message) bool { return strings.HasPrefix(m.subject, "factro.result."+cloud+".") })
		if r := m.result(t); r.Outcome != events.Applied {
			t.Errorf("%s: %+v", cloud, r)
		}
		if f.Count("task", nil) == 0 || tasksWithTitle(f, "for "+cloud) != 1 || tasksWithTitle(f, "for red")+tasksWithTitle(f, "for blue") != 1 {
			t.Errorf("%s has the wrong tasks", cloud)
		}
		streams[cloud].find(t, "the event of "+cloud, func(m message) bool { return strings.HasPrefix(m.subject, "factro.event."+cloud+".task.") })
	}

	// One cloud's failure is not the other's.
	if err := red.SetFaults(sim.Faults{{Kind: sim.FaultExpired}}); err != nil {
		t.Fatal(err)
	}
	send(t, js, "red", "createTask", "red-waits", newTask(red, "waits"))
	results["red"].find(t, "red is deferred", func(m message) bool { return m.subject == "factro.result.red.task.createTask.deferred" })
	send(t, js, "blue", "createTask", "blue-works", newTask(blue, "works"))
	if r := results["blue"].finalOf(t, "blue-works"); r.Outcome != events.Applied {
		t.Errorf("blue: %+v", r)
	}
	if tasksWithTitle(red, "waits") != 0 {
		t.Error("red worked with an expired key")
	}
	// A secret opens its own cloud only.
	req, _ := http.NewRequest(http.MethodPost, b.http+"/webhooks/red", strings.NewReader(`{"action":"TaskCreated"}`))
	req.Header.Set("X-Bridge-Key", webhookSecret+"-blue")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("blue's secret at red's path: %d", resp.StatusCode)
	}
}

// Every mistake is reported to the sender, at once, and kept as a dead letter; nothing is called.
func TestBadInput(t *testing.T) { //nolint:tparallel // see below
	t.Parallel()
	n := natstest.Start(t)
	f := startFactro(t, sim.Config{})
	b := newBridge(t, bridgeConfig{nats: n.URL(), clouds: map[string]string{"acme": f.url}}).start()
	_ = b
	_, js := n.Connect(t)
	results := watchStream(t, js, prefix.ResultStream("acme"))
	unknownID := "00000000-0000-4000-8000-00000000dead"

	for name, tt := range map[string]struct { //nolint:paralleltest // each counts the calls that factro gets
		subject, data string
		header        nats.Header
		code          string
		say           []string // parts of message and detail
		called        bool
	}{
		"no JSON":            {data: `{"title":`, code: events.CodeInvalid, say: []string{"JSON"}},
		"a list":             {data: `[]`, code: events.CodeInvalid, say: []string{"an array", "an object"}},
		"two fields missing": {data: `{}`, code: events.CodeInvalid, say: []string{`title`, `targetParentId`, "missing"}},
		"wrong types":        {data: `{"title":7,"targetParentId":"x","isMilestone":"yes"}`, code: events.CodeInvalid, say: []string{"/title", "/isMilestone", "got number, want string"}},
		"null where none may be": {
			subject: "factro.command.acme.task.updateTask", data: `{"taskId":"x","officerId":null}`, code: events.CodeInvalid, say: []string{"/officerId", "null"},
		},
		"unknown state": {
			subject: "factro.command.acme.task.setTaskState", data: `{"taskId":"x","state":"done"}`, code: events.CodeInvalid, say: []string{"/state", "review"},
		},
		"bad element of a list": {
			subject: "factro.command.acme.task.createTasks", data: `{"items":[{"title":"a","targetParentId":"b"},{"title":1}]}`,
			code: events.CodeInvalid, say: []string{"/items/1/title", "/items/1"},
		},
		"unknown operation": {subject: "factro.command.acme.task.createTaks", data: `{}`, code: events.CodeUnknownOperation, say: []string{"createTaks"}},
		"a query":           {subject: "factro.command.acme.task.getTask", data: `{"taskId":"x"}`, code: events.CodeUnknownOperation, say: []string{"reads"}},
		"wrong resource":    {subject: "factro.command.acme.project.createTask", data: `{}`, code: events.CodeInvalid, say: []string{"task", "project"}},
		"wrong type": {
			data: newTask(f, "never"), code: events.CodeInvalid, say: []string{"com.factro.command.deleteTask", "createTask"},
			header: nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"wrong type"}, "ce-source": {"urn:x"}, "ce-type": {"com.factro.command.deleteTask"}},
		},
		"expired": {
			data: newTask(f, "never"), code: events.CodeExpired,
			header: nats.Header{
				"ce-specversion": {"1.0"}, "ce-id": {"expired"}, "ce-source": {"urn:x"}, "ce-type": {"com.factro.command.createTask"},
				"ce-expirytime": {"2020-01-01T00:00:00Z"},
			},
		},
		"unknown id at factro": {
			subject: "factro.command.acme.task.updateTask", data: `{"taskId":"` + unknownID + `","title":"x"}`,
			code: events.CodeRefused, say: []string{"404", unknownID}, called: true,
		},
		"refused by factro's own check": {
			data: `{"title":"x","targetParentId":"` + unknownID + `"}`, code: events.CodeRefused, called: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(f.Requests())
			msg := nats.NewMsg("factro.command.acme.task.createTask")
			if tt.subject != "" {
				msg.Subject = tt.subject
			}
			msg.Data = []byte(tt.data)
			maps.Copy(msg.Header, tt.header)
			msg.Header.Set(events.HeaderMessageID, name)
			publish(t, js, msg)
			final := results.finalMessageOf(t, name)
			r := final.result(t)
			if r.Outcome != events.Rejected || r.Error == nil || r.Error.Code != tt.code {
				t.Fatalf("got %+v with %+v, want rejected with %s", r, r.Error, tt.code)
			}
			var data struct { // as it is on the wire: events.Error fills in what is missing
				Error struct{ Detail []events.FieldError }
			}
			if err := json.Unmarshal(final.data, &data); err != nil || len(data.Error.Detail) == 0 || data.Error.Detail[0].Message == "" {
				t.Errorf("the detail is no list of reasons: %v, %s", err, final.data)
			}
			for _, want := range tt.say {
				if !strings.Contains(r.Error.Message+string(r.Error.Detail), want) {
					t.Errorf("the error does not say %q: %s %s", want, r.Error.Message, r.Error.Detail)
				}
			}
			if called := len(f.Requests()) > before; called != tt.called {
				t.Errorf("factro was called: %t, want %t", called, tt.called)
			}
			// It is stored after the result, and rows share their subject: this command's is the one with its data.
			waitFor(t, "the dead letter with its code and data", func() bool {
				return slices.ContainsFunc(
					read(t, js, prefix.DeadStream("acme"), strings.Replace(msg.Subject, "factro.", "factro.dead.", 1)),
					func(m message) bool {
						return m.header.Get(events.HeaderMessageID) != "" && m.header.Get("Factro-Dead-Code") == tt.code && string(m.data) == tt.data
					})
			})
		})
	}
	waitFor(t, "the command stream is empty", func() bool { return queued(t, js) == 0 })
}
