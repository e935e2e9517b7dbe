package translate_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func command(extensions map[string]any) events.Command {
	return events.Command{
		Address: events.Address{Cloud: "acme", Resource: "task", Operation: "createTask"},
		Event: event.Event{Context: &event.EventContextV1{
			ID: "c-1", Source: *types.ParseURIRef("urn:sender"), Type: "com.factro.command.createTask", Extensions: extensions,
		}, DataEncoded: []byte(`{}`)},
	}
}

func applied() events.Result {
	finished := at.Add(time.Second)
	return events.Result{
		Operation: "createTask", Outcome: events.Applied, Status: 200, Attempts: 1, StartedAt: at, FinishedAt: &finished,
		Resource: &events.Resource{Type: "task", ID: "t-1", URL: "https://cloud.factro.test/0a1b2c3d/?p=task&pi=t-1"},
		Response: json.RawMessage(`{"id":"t-1", "effort":1.10, "n":12345678901234567890, "title":"a<b>&c"}`),
	}
}

func TestResultGolden(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		extensions map[string]any
		change     func(*events.Result)
	}{
		"applied":    {nil, func(*events.Result) {}},
		"correlated": {map[string]any{"correlationid": "Fall 7 ü", "traceparent": "00-1-2-01", "partitionkey": "k", "expirytime": "2030-01-01T00:00:00Z"}, func(*events.Result) {}},
		"dry-run":    {map[string]any{"dryrun": true}, func(r *events.Result) { r.Status, r.Attempts = 0, 0 }},
		"rejected": {nil, func(r *events.Result) {
			r.Outcome, r.Status, r.Attempts, r.Response, r.Resource = events.Rejected, 0, 0, nil, &events.Resource{Type: "task"}
			r.Error = &events.Error{Code: events.CodeInvalid, Message: "m", Detail: json.RawMessage(`[{"pointer":"/a","message":"<b>"}]`)}
		}},
		"deferred": {nil, func(r *events.Result) {
			retry := at.Add(time.Minute)
			r.Outcome, r.Status, r.Response, r.FinishedAt, r.RetryAt = events.Deferred, 0, nil, nil, &retry
			r.Error = &events.Error{Code: events.CodeThrottled, Message: "m"}
		}},
		"dead": {nil, func(r *events.Result) {
			r.Outcome, r.Status, r.Response, r.Resource = events.Dead, 502, nil, nil
			r.Error = &events.Error{Code: events.CodeAmbiguous, Message: "m", Answer: json.RawMessage(`"<html>"`)}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := applied()
			tt.change(&r)
			e, err := translate.Result(command(tt.extensions), r, "", at.Add(2*time.Second).In(time.FixedZone("", 3600)))
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Validate(); err != nil {
				t.Error(err)
			}
			var read events.Result
			if err := json.Unmarshal(e.Data(), &read); err != nil || read.Outcome != r.Outcome {
				t.Errorf("the data reads as %+v, %v", read, err)
			}
			wantGolden(t, "testdata/result/"+name+".golden", events.Prefix("factro").Result("acme", "task", "createTask", r.Outcome), e)
		})
	}
}

// TestResultKeepsTheResponse: what stands in the answer stands in the result, digit by digit; only blanks may go.
func TestResultKeepsTheResponse(t *testing.T) {
	t.Parallel()
	e, err := translate.Result(command(nil), applied(), "", at)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"response":{"id":"t-1","effort":1.10,"n":12345678901234567890,"title":"a<b>&c"}`; !bytes.Contains(e.Data(), []byte(want)) {
		t.Errorf("got %s, want in it %s", e.Data(), want)
	}
}

// What an operation is called comes from a subject, which anybody can make.
func TestResultNamesItsSchema(t *testing.T) {
	t.Parallel()
	for operation, want := range map[string]string{
		"createTask": "urn:factro:schema:result.createTask", "setTaskState": "urn:factro:schema:result.setTaskState",
		"getTask": "urn:factro:schema:result", "fly": "urn:factro:schema:result", "": "urn:factro:schema:result",
		"Prüfung ansetzen": "urn:factro:schema:result",
	} {
		r := applied()
		r.Operation = operation
		if e, err := translate.Result(command(nil), r, "", at); err != nil || e.DataSchema() != want {
			t.Errorf("%q: the schema is %q (%v), want %q", operation, e.DataSchema(), err, want)
		}
	}
}

func TestResultRefusesWhatIsNoJSON(t *testing.T) {
	t.Parallel()
	r := applied()
	r.Response = json.RawMessage("<html>")
	if e, err := translate.Result(command(nil), r, "", at); err == nil || e.Context != nil {
		t.Errorf("got %v, %v", e, err)
	}
}

func TestResource(t *testing.T) {
	t.Parallel()
	const mandant = "0a1b2c3d-0000"
	for name, tt := range map[string]struct {
		operation, entity, answer string
		want                      events.Resource
		mandant                   string
	}{
		"created":              {"createTask", "", `{"id":"t-1","mandantId":"` + mandant + `"}`, events.Resource{Type: "task", ID: "t-1"}, mandant},
		"created, two words":   {"createWorkRecord", "", `{"id":"w-1"}`, events.Resource{Type: "work-record", ID: "w-1"}, ""},
		"copied":               {"createCustomViewTemplate", "", `{"id":"v-1"}`, events.Resource{Type: "custom-view", ID: "v-1"}, ""},
		"below another":        {"createAbsence", "", `{"id":"a-1","employeeId":"u"}`, events.Resource{Type: "absence", ID: "a-1"}, ""},
		"changed":              {"updateTask", "t-2", `{"id":"other","mandantId":"` + mandant + `"}`, events.Resource{Type: "task", ID: "t-2"}, mandant},
		"a part of it":         {"createTaskComment", "t-2", `{"id":"c-1"}`, events.Resource{Type: "task", ID: "t-2"}, ""},
		"from a template":      {"applyTaskTemplate", "tpl", `{"id":"t-9","mandantId":"` + mandant + `"}`, events.Resource{Type: "template", ID: "tpl"}, mandant},
		"a tag is no task":     {"createTaskTag", "", `{"id":"g-1","mandantId":"` + mandant + `"}`, events.Resource{Type: "task"}, mandant},
		"a tag is no user":     {"createEmployeeTag", "", `{"id":"g-1"}`, events.Resource{Type: "user"}, ""},
		"a list":               {"createTasks", "", `[{"id":"t-1"}]`, events.Resource{Type: "task"}, ""},
		"no promise, but JSON": {"deleteTask", "t-2", `{"id":"x","mandantId":"y"}`, events.Resource{Type: "task", ID: "t-2"}, ""},
		"nothing":              {"createTask", "", ``, events.Resource{Type: "task"}, ""},
		"HTML":                 {"createTask", "", `<html>`, events.Resource{Type: "task"}, ""},
		"null":                 {"createTask", "", `null`, events.Resource{Type: "task"}, ""},
		"id a number":          {"createTask", "", `{"id":7,"mandantId":8}`, events.Resource{Type: "task"}, ""},
	} {
		got, mandantID := translate.Resource(lookup(t, tt.operation), tt.entity, []byte(tt.answer))
		if *got != tt.want || mandantID != tt.mandant {
			t.Errorf("%s: got %+v of %q, want %+v of %q", name, *got, mandantID, tt.want, tt.mandant)
		}
	}
}

// TestResultNamesItsCause: the id of a result is of the command, its outcome and its source, and a position is passed on.
func TestResultNamesItsCause(t *testing.T) {
	t.Parallel()
	cmd := command(nil)
	e, err := translate.Result(cmd, applied(), ".2", at)
	if x := e.Extensions(); err != nil || e.ID() != "c-1.applied.2."+identity.SourceDigest("urn:sender") || x["causationsource"] != "urn:sender" || x["causationposition"] != nil {
		t.Errorf("got %s with %v, %v", e.ID(), x, err)
	}
	cmd.Plain, cmd.Position = true, "s-7"
	e, err = translate.Result(cmd, applied(), "", at)
	if x := e.Extensions(); err != nil || e.ID() != "c-1.applied" || x["causationsource"] != nil || x["causationposition"] != "s-7" {
		t.Errorf("of plain JSON: got %s with %v, %v", e.ID(), x, err)
	}
	r := applied()
	r.Resource = nil
	if e, err := translate.Result(cmd, r, "", at); err != nil || e.Subject() != "" {
		t.Errorf("without a resource: the subject is %q, %v", e.Subject(), err)
	}
}

func TestMadeIDs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		operation, answer string
		want              []string
	}{
		"one":             {"createTask", `{"id":"t-1"}`, []string{"t-1"}},
		"many":            {"createTasks", `[{"id":"t-1"},{"id":"t-2"}]`, []string{"t-1", "t-2"}},
		"some without id": {"createTasks", `[{"id":""},7,{"id":"t-2"},{},{"id":5}]`, []string{"t-2"}},
		"no promise":      {"deleteTask", `{"id":"t-1"}`, nil},
		"no object":       {"createTask", `[{"id":"t-1"}]`, nil},
		"no list":         {"createTasks", `{"id":"t-1"}`, nil},
		"HTML":            {"createTask", `<html>`, nil},
		"nothing":         {"createTask", ``, nil},
	} {
		if got := translate.MadeIDs(lookup(t, tt.operation), []byte(tt.answer)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
