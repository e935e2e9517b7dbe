package events_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func TestToken(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"8d3f6c1e-AZ_09":         "8d3f6c1e-AZ_09",
		"_":                      "_",
		strings.Repeat("x", 128): strings.Repeat("x", 128),
		strings.Repeat("x", 129): "_",
		"":                       "_",
		"a.b":                    "_",
		"a b":                    "_",
		"*":                      "_",
		">":                      "_",
		"größe":                  "_",
		"a\r\nb":                 "_",
		"a\x00":                  "_",
	} {
		if got := events.Token(s); got != want {
			t.Errorf("Token(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	p := events.Prefix("factro")
	for got, want := range map[string]string{
		p.Event("acme", "task", "8d3f", "TaskStateChanged"):                     "factro.event.acme.task.8d3f.TaskStateChanged",
		p.Event("acme", "übersicht", "a.b", ""):                                 "factro.event.acme._._._",
		p.Command("acme", "task", "createTask"):                                 "factro.command.acme.task.createTask",
		p.Result("acme", "task", "createTask", events.Applied):                  "factro.result.acme.task.createTask.applied",
		p.Result("acme", "*", "create.Task", events.Rejected):                   "factro.result.acme._._.rejected",
		p.DeadCommand("acme", "task", "createTask"):                             "factro.dead.command.acme.task.createTask",
		p.DeadWebhook("acme"):                                                   "factro.dead.webhook.acme",
		p.Query("acme", "task", "getTask"):                                      "factro.query.acme.task.getTask",
		p.FileBucket("acme") + p.AnswerBucket("acme"):                           "FACTRO_FILES_ACMEFACTRO_ANSWERS_ACME",
		p.EventStream("acme"):                                                   "FACTRO_EVENTS_ACME",
		p.CommandStream("acme") + p.ResultStream("acme") + p.DeadStream("acme"): "FACTRO_COMMANDS_ACMEFACTRO_RESULTS_ACMEFACTRO_DEAD_ACME",
		events.Prefix("f2").EventStream("a-1") + events.DefaultPrefix[:1]:       "F2_EVENTS_A-1f",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	p := events.Prefix("factro")
	for got, want := range map[string]string{
		p.EventFilter("acme", "task", events.Any, "TaskStateChanged"):           "factro.event.acme.task.*.TaskStateChanged",
		p.EventFilter(events.Any, events.Any, "a.b", ">"):                       "factro.event.*.*._._",
		p.ResultFilter("acme", events.Any, events.Any, events.Rejected):         "factro.result.acme.*.*.rejected",
		p.ResultFilter("acme", "task", "createTask", events.Any):                "factro.result.acme.task.createTask.*",
		p.DeadCommandFilter("acme", events.Any, events.Any):                     "factro.dead.command.acme.*.*",
		p.Command(events.Any, events.Any, "x") + p.DeadWebhook(events.Any):      "factro.command.*.*.xfactro.dead.webhook.*",
		p.EventFilter("acme", "task", "8d3f", "TaskCreated"):                    p.Event("acme", "task", "8d3f", "TaskCreated"),
		p.ResultFilter("acme", "task", "createTask", events.Dead):               p.Result("acme", "task", "createTask", events.Dead),
		p.DeadCommandFilter("acme", "übersicht", "createTask"):                  p.DeadCommand("acme", "übersicht", "createTask"),
		p.EventFilter("acme", "übersicht", "größe", "") + p.EventStream("acme"): "factro.event.acme._._._FACTRO_EVENTS_ACME",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if !server.IsValidSubject(got) {
			t.Errorf("%q is no subject", got)
		}
	}
}

// TestParse: what is built is read again, and nothing else is read.
func TestParse(t *testing.T) {
	t.Parallel()
	p := events.Prefix("factro")
	e, err := p.ParseEvent(p.Event("acme", "task", "8d3f", "TaskCreated"))
	if want := (events.EventAddress{Cloud: "acme", Resource: "task", ID: "8d3f", Action: "TaskCreated"}); err != nil || e != want {
		t.Errorf("got %+v, %v", e, err)
	}
	q, err := p.ParseQuery(p.Query("acme", "task", "getTask"))
	if want := (events.Address{Cloud: "acme", Resource: "task", Operation: "getTask"}); err != nil || q != want {
		t.Errorf("got %+v, %v", q, err)
	}
	r, err := p.ParseResult(p.Result("acme", "task", "createTask", events.Dead))
	if want := (events.ResultAddress{
		Address: events.Address{Cloud: "acme", Resource: "task", Operation: "createTask"}, Outcome: events.Dead,
	}); err != nil || r != want {
		t.Errorf("got %+v, %v", r, err)
	}
	for _, subject := range []string{
		"", "factro", "factro.event", "factro.query.acme.task", "factro.result.acme.task.createTask", "factro.event.acme.task..TaskCreated",
		"factro.query..task.getTask", "factro.command.acme.task.createTask", "other.event.acme.task.8d3f.TaskCreated",
		"factro.event.acme.task.8d3f.TaskCreated.now", "factro.result.acme.task.createTask.applied.now", "factro.query.acme.task.getTask.now",
	} {
		if e, err := p.ParseEvent(subject); !contains(err, "factro.event.<cloud>.<resource>.<id>.<Action>") {
			t.Errorf("%q: got %+v, %v", subject, e, err)
		}
		if q, err := p.ParseQuery(subject); !contains(err, "factro.query.<cloud>.<resource>.<operation>") {
			t.Errorf("%q: got %+v, %v", subject, q, err)
		}
		if r, err := p.ParseResult(subject); !contains(err, "factro.result.<cloud>.<resource>.<operation>.<outcome>") {
			t.Errorf("%q: got %+v, %v", subject, r, err)
		}
	}
}

func TestParseCommand(t *testing.T) {
	t.Parallel()
	got, err := events.Prefix("factro").ParseCommand("factro.command.acme.task.createTask")
	if want := (events.Address{Cloud: "acme", Resource: "task", Operation: "createTask"}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for _, subject := range []string{
		"",
		"factro.command.acme.task",
		"factro.command.acme.task.createTask.now",
		"factro.event.acme.task.createTask",
		"other.command.acme.task.createTask",
		"Factro.command.acme.task.createTask",
		"factro.command.acme..createTask",
		"factro.command.acme.task.",
		"factro.command..task.createTask",
	} {
		got, err := events.Prefix("factro").ParseCommand(subject)
		if err == nil || got != (events.Address{}) {
			t.Errorf("%q: got %+v, %v; want an error", subject, got, err)
			continue
		}
		if !strings.Contains(err.Error(), "factro.command.<cloud>.<resource>.<operation>") {
			t.Errorf("%q: the error does not say what would be right: %v", subject, err)
		}
	}
}

func FuzzEventSubject(f *testing.F) {
	f.Add("task", "TaskStateChanged", "8d3f6c1e")
	f.Add("http", "HTTPThing.*", "a b.>")
	f.Add("übersicht", "ÜbersichtGeändert", "")
	f.Fuzz(func(t *testing.T, resource, action, id string) {
		subject := events.Prefix("factro").Event("acme", resource, id, action)
		if n := strings.Count(subject, ".") + 1; n != 6 {
			t.Errorf("%q has %d tokens, want 6", subject, n)
		}
		if !server.IsValidLiteralSubject(subject) {
			t.Errorf("%q is no literal subject", subject)
		}
		if len(subject) > len("factro.event.acme...")+3*128 {
			t.Errorf("%q is longer than three tokens can be", subject)
		}
	})
}
