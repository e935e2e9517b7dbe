package tail

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/journal"
)

var (
	errBroken = errors.New("it is no event")
	timeOf    = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// TestSubjects: the server sends only what can match.
func TestSubjects(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		selection
		want map[string]string // of each kind, with blanks between the subjects
	}{
		"everything": {selection{}, map[string]string{
			"events": "factro.event.acme.*.*.*", "results": "factro.result.acme.*.*.*", "changes": "factro.change.acme.*.*.*",
			"dead": "factro.dead.command.acme.*.* factro.dead.webhook.acme",
		}},
		"an object": {selection{entity: "t-1"}, map[string]string{
			"events": "factro.event.acme.*.t-1.*", "results": "factro.result.acme.*.*.*", "changes": "factro.change.acme.*.t-1.*",
			"dead": "factro.dead.command.acme.*.*",
		}},
		"an action of a kind": {selection{resource: "task", action: "createTask"}, map[string]string{
			"events": "factro.event.acme.task.*.createTask", "results": "factro.result.acme.task.createTask.*",
			"changes": "factro.change.acme.task.*.createTask", "dead": "factro.dead.command.acme.task.createTask",
		}},
		"an action that is no token": {selection{action: "Task.x"}, map[string]string{"results": "factro.result.acme.*._.*"}},
		"a subject":                  {selection{filter: "a.b"}, map[string]string{"events": "a.b", "dead": "a.b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, k := range kinds {
				got := tt.subjects("factro", "acme", k)
				if want, asked := tt.want[k.name]; asked && !slices.Equal(got, strings.Fields(want)) {
					t.Errorf("%s: got %q, want %q", k.name, got, want)
				}
			}
		})
	}
}

// TestAbout: of each kind of message the object is known, as far as the message says it.
func TestAbout(t *testing.T) {
	t.Parallel()
	header := func(subject string) nats.Header {
		h := nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"urn:x"}, "ce-type": {"x"}, "content-type": {"application/json"}}
		if subject != "" {
			h.Set("ce-subject", subject)
		}
		return h
	}
	for name, tt := range map[string]struct {
		subject, of, data string
		want              object
	}{
		"event":                     {"factro.event.acme.task.t-1.TaskCreated", "task/t-1", `{}`, object{"acme", "task", "t-1"}},
		"event, id not a token":     {"factro.event.acme.task.a_b.TaskCreated", "task/a.b", `{}`, object{"acme", "task", "a.b"}},
		"change":                    {"factro.change.acme.task.t-1.updated", "t-1", `{}`, object{"acme", "task", "t-1"}},
		"result":                    {"factro.result.acme.task.createTask.applied", "task/t-2", `{}`, object{"acme", "task", "t-2"}},
		"result without an object":  {"factro.result.acme.task.createTask.rejected", "", `{}`, object{}},
		"dead command":              {"factro.dead.command.acme.task.setTaskState", "", `{"state":"review","taskId":"t-3"}`, object{"acme", "task", "t-3"}},
		"dead command of a create":  {"factro.dead.command.acme.task.createTask", "", `{"targetParentId":"p-1"}`, object{"acme", "task", ""}},
		"dead command, no JSON":     {"factro.dead.command.acme.task.setTaskState", "", `{`, object{"acme", "task", ""}},
		"dead command, of any name": {"factro.dead.command.acme.task.nothing", "", `{"taskId":"t-3"}`, object{"acme", "task", ""}},
		"dead webhook":              {"factro.dead.webhook.acme", "", `{"taskId":"t-3"}`, object{}},
		"something else":            {"factro.event.acme", "", ``, object{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := about("factro", journal.Message{Subject: tt.subject, Data: []byte(tt.data), Broken: errBroken}); tt.of == "" && got != tt.want {
				t.Errorf("without attributes got %+v, want %+v", got, tt.want)
			}
			m := journal.NewMessage(tt.subject, header(tt.of), []byte(tt.data), timeOf)
			if m.Broken != nil {
				t.Fatal(m.Broken)
			}
			if got := about("factro", m); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestMatches: the text is looked for wherever a message shows one.
func TestMatches(t *testing.T) {
	t.Parallel()
	m := journal.NewMessage("factro.dead.command.acme.task.setTaskState", nats.Header{
		"ce-specversion": {"1.0"}, "ce-id": {"order-7"}, "ce-source": {"urn:x"}, "ce-type": {"x"}, "content-type": {"application/json"},
		"Factro-Dead-Reason": {"factro answered 404"},
	}, []byte(`{"state":"review"}`), timeOf)
	for text, want := range map[string]bool{
		"": true, "setTask": true, "order-[0-9]": true, "review": true, "answered 404": true, "Prüf": true, "(?i)PRÜF": true, "PRÜF": false, "nothing": false,
	} {
		s := selection{text: text}
		if err := s.check(); err != nil {
			t.Fatal(err)
		}
		if got := s.matches(m, "Prüfung"); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
	for _, wrong := range []selection{{text: "("}, {filter: "a.b", action: "x"}} {
		if err := wrong.check(); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}

// TestTitleIn: what people call an object.
func TestTitleIn(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"title":"a","name":"b"}`: "a", `{"name":"b"}`: "b", `{"firstName":"Ada","lastName":"L."}`: "Ada L.", `{"lastName":"L."}`: "L.",
		`{"title":7}`: "", `{}`: "", ``: "", `{"title":"a\u001b[31mb"}`: "a [31mb",
	} {
		if got := titleIn([]byte(data)); got != want {
			t.Errorf("%s: got %q, want %q", data, got, want)
		}
	}
}
