package egress

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/egress/persist"
	"github.com/factro-bridge/factro-bridge/internal/identity"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// TestResult: results have the data that the contract describes. In the bubble the clock starts in 2000.
func TestResult(t *testing.T) {
	t.Parallel()
	const mandant = "12345678-aaaa-bbbb-cccc-1234567890ab"
	const doubt = "factro may have carried this out or not (factro answered 502: Bad Gateway), " +
		"and doing it again could do it twice; the search for it failed: factro answered 403: no. " +
		"Look in the package or project whether a task of this title was made at that time."
	sets := map[string]string{"applied": `,"set":{"targetParentId":"p-1","title":"T"}`, "no body": `,"set":{"title":"T"}`}
	for name, test := range map[string]struct {
		cmd           events.Command
		answer        apitest.Reply
		outcome, want string
	}{
		"applied": {
			create(), apitest.OK(`{ "id":"t-9", "mandantId":"` + mandant + `", "n":1.0 }`), "applied",
			`{"operation":"createTask","outcome":"applied","status":200,"attempts":1,"startedAt":"2000-01-01T00:00:00Z","finishedAt":"2000-01-01T00:00:00Z",` +
				`"resource":{"type":"task","id":"t-9","url":"https://factro.test/12345678/?p=task&pi=t-9"},` +
				`"response":{"id":"t-9","mandantId":"` + mandant + `","n":1.0}}`,
		},
		"no body": {
			update(),
			apitest.Reply{Status: 204},
			"applied",
			`{"operation":"updateTask","outcome":"applied","status":204,"attempts":1,"startedAt":"2000-01-01T00:00:00Z","finishedAt":"2000-01-01T00:00:00Z",` +
				`"resource":{"type":"task","id":"t-1"}}`,
		},
		"refused with JSON": {
			update(),
			apitest.Reply{Status: 403, Body: `{"message":"Task is closed"}`},
			"rejected",
			`{"operation":"updateTask","outcome":"rejected","status":403,"attempts":1,"startedAt":"2000-01-01T00:00:00Z","finishedAt":"2000-01-01T00:00:00Z",` +
				`"resource":{"type":"task","id":"t-1"},` +
				`"error":{"code":"refused","message":"factro answered 403: Task is closed","detail":[{"pointer":"","message":"Task is closed"}],"answer":{"message":"Task is closed"}}}`,
		},
		"refused with text": {
			update(),
			apitest.Reply{Status: 404, Body: `Task with id "t-1" not found`},
			"rejected",
			`{"operation":"updateTask","outcome":"rejected","status":404,"attempts":1,"startedAt":"2000-01-01T00:00:00Z","finishedAt":"2000-01-01T00:00:00Z",` +
				`"resource":{"type":"task","id":"t-1"},` +
				`"error":{"code":"refused","message":"factro answered 404: Task with id \"t-1\" not found","detail":[{"pointer":"","message":"Task with id \"t-1\" not found"}],"answer":"Task with id \"t-1\" not found"}}`,
		},
		"refused without a word, or with half of it": {
			update(),
			apitest.Reply{Status: 400, Cut: true},
			"rejected",
			`{"operation":"updateTask","outcome":"rejected","status":400,"attempts":1,"startedAt":"2000-01-01T00:00:00Z","finishedAt":"2000-01-01T00:00:00Z",` +
				`"resource":{"type":"task","id":"t-1"},"error":{"code":"refused","message":"factro answered 400: no text","detail":[{"pointer":"","message":"factro answered 400: no text"}]}}`,
		},
		"deleted before": {
			remove(),
			apitest.Reply{Status: 404, Header: map[string]string{"Content-Type": "text/plain"}, Body: `Task with id "t-1" not found`},
			"applied",
			`{"operation":"deleteTask","outcome":"applied","status":404,"attempts":1,"startedAt":"2000-01-01T00:00:00Z","finishedAt":"2000-01-01T00:00:00Z",` +
				`"resource":{"type":"task","id":"t-1"}}`,
		},
		"unknown route": {
			remove(),
			apitest.Reply{Status: 404, Header: map[string]string{"Content-Type": "text/html"}, Body: `<pre>Cannot DELETE /core/x</pre>`},
			"rejected",
			`{"operation":"deleteTask","outcome":"rejected","status":404,"attempts":1,"startedAt":"2000-01-01T00:00:00Z","finishedAt":"2000-01-01T00:00:00Z",` +
				`"resource":{"type":"task","id":"t-1"},` +
				`"error":{"code":"refused","message":"factro answered 404: Cannot DELETE /core/x","detail":[{"pointer":"","message":"Cannot DELETE /core/x"}],"answer":"\u003cpre\u003eCannot DELETE /core/x\u003c/pre\u003e"}}`,
		},
		"dead": {
			create(),
			apitest.Reply{Status: 502, Body: "Bad Gateway"},
			"dead",
			`{"operation":"createTask","outcome":"dead","status":502,"attempts":1,"startedAt":"2000-01-01T00:00:00Z","finishedAt":"2000-01-01T00:00:00Z",` +
				`"resource":{"type":"task"},"error":{"code":"ambiguous","message":"` + doubt + `","detail":[{"pointer":"","message":"` + doubt + `"}],"answer":"Bad Gateway"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				script := apitest.Always(test.answer)
				if name == "dead" {
					script = unsearchable(script)
				}
				r := newRig(t, script)
				test.cmd.Event.SetExtension("correlationid", "k-1")
				verdict := r.do(test.cmd)
				s := r.only()
				want := strings.TrimSuffix(test.want, "}") + `,"commandDigest":"` + identity.CommandDigest(test.cmd.Event.Data()) + `"` + sets[name] + `}`
				if got := string(s.event.Data()); got != want {
					t.Errorf("got\n%s, want\n%s", got, want)
				}
				op := test.cmd.Operation
				if s.subject != "factro.result.acme.task."+op+"."+test.outcome || s.id != "acme.c-1."+test.outcome+sourceDigest {
					t.Errorf("published to %s as %s", s.subject, s.id)
				}
				x := s.event.Extensions()
				if s.event.ID() != "c-1."+test.outcome+sourceDigest || s.event.Type() != "com.factro.result."+test.outcome ||
					s.event.Source() != "urn:factro:bridge:acme" || x["causationid"] != "c-1" || x["causationsource"] != "urn:test" || x["causationposition"] != "FACTRO_COMMANDS:17" || x["correlationid"] != "k-1" {
					t.Errorf("the event is %s", s.event)
				}
				if test.outcome == "applied" && verdict != nil || test.outcome != "applied" && verdict == nil {
					t.Errorf("the verdict is %v", verdict)
				}
			})
		})
	}
}

// TestRejected: a command that cannot be carried out is rejected at once, with all mistakes, and nothing is called.
func TestRejected(t *testing.T) {
	t.Parallel()
	wrong := update()
	wrong.Resource = "project"
	for name, test := range map[string]struct {
		cmd          events.Command
		mistake      error
		code, detail string
	}{
		"invalid": {
			command("setTaskState", `{"state":7,"extra":true}`), nil, "invalid",
			`[{"pointer":"","message":"property \"taskId\" is missing and required"},{"pointer":"/state","message":"got number, want string"}]`,
		},
		"unknown operation": {command("makeCoffee", `{}`), nil, "unknown-operation", `[{"pointer":"","message":"there is no operation \"makeCoffee\"; bridge contract operations lists them"}]`},
		"a query":           {command("getTask", `{"taskId":"1"}`), nil, "unknown-operation", `[{"pointer":"","message":"getTask reads, so it is no command"}]`},
		"wrong resource":    {wrong, nil, "invalid", `[{"pointer":"","message":"updateTask is an operation on \"task\", but the subject says \"project\""}]`},
		"expired":           {command("updateTask", `{"taskId":"1"}`, "expirytime", time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), nil, "expired", `[{"pointer":"","message":"expirytime had passed"}]`},
		"no expiry":         {command("updateTask", `{"taskId":"1"}`, "expirytime", "soon"), nil, "invalid", `[{"pointer":"","message":"attribute expirytime is not a time as in RFC 3339"}]`},
		"no priority":       {command("updateTask", `{"taskId":"1"}`, "priority", "urgent"), nil, "invalid", `[{"pointer":"","message":"attribute priority is \"urgent\", and neither high nor normal nor low"}]`},
		"a high priority":   {command("updateTask", `{"taskId":"1"}`, "priority", "High"), nil, "invalid", `[{"pointer":"","message":"attribute priority is \"High\", and neither high nor normal nor low"}]`},
		"no dry run":        {command("updateTask", `{"taskId":"1"}`, "dryrun", "yes"), nil, "invalid", `[{"pointer":"","message":"attribute dryrun is neither true nor false"}]`},
		"unreadable":        {update(), errors.New("header ce-id is given 2 times"), "invalid", `[{"pointer":"","message":"header ce-id is given 2 times"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
				verdict := r.w.Handle(t.Context(), t.Context(), test.cmd, test.mistake)
				s := r.only()
				if s.result.Outcome != events.Rejected || s.result.Error.Code != test.code || s.result.Error.Message == "" || s.result.Attempts != 0 {
					t.Errorf("the result is %s", s.event.Data())
				}
				if string(s.result.Error.Detail) != test.detail {
					t.Errorf("the detail is\n%s, want\n%s", s.result.Error.Detail, test.detail)
				}
				wantTerminal(t, verdict, "factro.dead.command.acme."+test.cmd.Resource+"."+test.cmd.Operation, test.code)
				if strings.TrimPrefix(r.String(), "look; ") != "publish rejected" {
					t.Errorf("unexpected steps: %s", r)
				}
			})
		})
	}
}

// TestSubjectWithoutCommand: a message on a subject that names no command still gets a result and a dead letter.
func TestSubjectWithoutCommand(t *testing.T) {
	t.Parallel()
	r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
	c := update()
	c.Address = events.Address{}
	verdict := r.w.Handle(t.Context(), t.Context(), c, errors.New("subject is not of the form"))
	s := r.only()
	if s.subject != "factro.result.acme._._.rejected" || s.event.Source() != "urn:factro:bridge:acme" || s.event.Extensions()["factrocloud"] != "acme" {
		t.Errorf("published to %s: %s", s.subject, s.event)
	}
	wantTerminal(t, verdict, "factro.dead.command.acme._._", "invalid")
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	for _, dry := range []any{true, "true", "1"} {
		r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
		c := create()
		c.Event.SetExtension("dryrun", dry)
		s := r.wantDone(r.do(c), events.Applied, "")
		want := regexp.MustCompile(`^{"method":"POST","path":"/tasks","contentType":"application/json","body":{"creationDate":"[-0-9T:.]+Z","targetParentId":"p-1","title":"T"}}$`)
		if got := string(s.result.Response); !want.MatchString(got) {
			t.Errorf("the planned call is %s", got)
		}
		if r.String() != "look; publish applied" || s.result.Status != 0 || s.result.Attempts != 0 {
			t.Errorf("unexpected steps: %s", r)
		}
	}
	r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
	c := update()
	c.Event.SetExtension("dryrun", "false")
	r.wantDone(r.do(c), events.Applied, "")
	if r.Count("call PUT") != 1 {
		t.Errorf("no dry run, and no call: %s", r)
	}
}

// TestCanary: the bridge's own command makes no calls and leaves nothing behind, with any data, dry run or not. Its resource has no
// other command.
func TestCanary(t *testing.T) {
	t.Parallel()
	for _, ext := range [][]any{nil, {"dryrun", true}, {"dryrun", "false"}} {
		for _, data := range []string{`{}`, `{"taskId":"t-1","state":"done"}`} {
			r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
			c := command(events.OperationCanary, data, ext...)
			c.Resource = events.ResourceBridge
			s := r.wantDone(r.do(c), events.Applied, "")
			if r.String() != "publish applied" || len(r.stores.ledger) > 0 || s.subject != "factro.result.acme.bridge.canary.applied" {
				t.Errorf("%v %s: %s, to %s", ext, data, r, s.subject)
			}
		}
	}
	for _, what := range [][2]string{{"task", events.OperationCanary}, {events.ResourceBridge, "setTaskState"}, {events.ResourceBridge, "other"}} {
		r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
		c := command(what[1], `{"taskId":"t-1","state":"done"}`)
		c.Resource = what[0]
		_ = r.do(c)
		if s := r.only(); s.result.Outcome != events.Rejected || r.String() != "publish rejected" {
			t.Errorf("%v: %s", what, r)
		}
	}
	late := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
	c := command(events.OperationCanary, `{}`, "expirytime", "2020-01-01T00:00:00Z")
	c.Resource = events.ResourceBridge
	_ = late.do(c)
	if s := late.only(); s.result.Outcome != events.Rejected || s.result.Error.Code != events.CodeExpired {
		t.Errorf("a canary that has expired: %+v", s.result)
	}
}

func TestReplyCopy(t *testing.T) {
	t.Parallel()
	for subject, allowed := range map[string]bool{
		"_INBOX.abc.1": true, "_INBOX.billing.abc.1": true, "replies.acme.1": true, "my.results": false, "factrox.a": false,
		"_INBOX": false, "_INBOXES.a": false, "_inbox.a": false, "replies.acme": false, "replies.acmex.a": false, "replies.beta.a": false,
		"$JS.API.STREAM.DELETE.FACTRO_EVENTS": false, "$SYS.a": false, "$KV.FACTRO_LEDGER.acme.a": false, "$SRV.PING": false,
		"factro.command.acme.task.deleteTask": false, "factro.redrive.acme.task.deleteTask": false, "other.command.a": false,
		"_INBOX." + strings.Repeat("x", 5000): false, // the server would end the connection
	} {
		r := newRigFor(t, Config{Prefix: "factro", ReplyPrefixes: []string{"replies.acme"}}, apitest.Always(apitest.OK(apitest.Fits)))
		c := update()
		c.ReplyTo = subject
		r.wantDone(r.do(c), events.Applied, "")
		if got := len(r.stores.copies) == 1 && r.stores.copies[0] == subject; got != allowed {
			t.Errorf("%.40s: copies to %v", subject, r.stores.copies)
		}
		if got := !strings.Contains(r.log.String(), "nats.reply_prefixes"); got != allowed {
			t.Errorf("%.40s: the log says %s", subject, r.log)
		}
	}
	// A copy is optional: a failure to send it changes nothing.
	r := newRig(t, apitest.Always(apitest.OK(apitest.Fits)))
	r.stores.fail = func(step string) error {
		if step == "reply" {
			return errors.New("nobody there")
		}
		return nil
	}
	c := update()
	c.ReplyTo = "_INBOX.results"
	r.wantDone(r.do(c), events.Applied, "")
}

// TestLargeAnswer: an answer that does not fit into a message is left out. The outcome is still reported.
func TestLargeAnswer(t *testing.T) {
	t.Parallel()
	for size, id := range map[int]string{maxResponse - 100: "t-9", maxResponse: "t-9", 8<<20 - 100: "t-9"} {
		r := newRig(t, apitest.Always(apitest.OK(`{"id":"t-9","text":"`+strings.Repeat("x", size)+`"}`)))
		s := r.wantDone(r.do(create()), events.Applied, "")
		if has := s.result.Response != nil; has != (size < maxResponse) || s.result.Resource.ID != id {
			t.Errorf("%d bytes: response %v, id %q", size, has, s.result.Resource.ID)
		}
	}
}

// TestTooLarge: a result that is too large for any message must not be retried for ever.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	items := strings.Repeat(`{"title":7},`, 1000)
	for name, test := range map[string]struct {
		cmd    events.Command
		answer apitest.Reply
		limit  int
		want   events.Outcome
	}{
		"response": {create(), apitest.OK(`{"id":"t-9","text":"` + strings.Repeat("x", 1<<10) + `"}`), 1 << 10, events.Applied},
		"detail":   {command("createTasks", `{"items":[`+items[:len(items)-1]+`]}`), apitest.OK("[]"), 2 << 10, events.Rejected},
		"at all":   {create(), apitest.OK(`{"id":"t-9"}`), 10, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, apitest.Always(test.answer))
				r.stores.fail = nil
				w := r.w
				w.results, w.ledger = limitedStores{r.stores, test.limit}, limitedLedger{r.stores, test.limit}
				verdict := r.do(test.cmd)
				if test.want == "" {
					if verdict != nil || len(r.stores.sent) != 0 || !strings.Contains(r.log.String(), "too large") {
						t.Errorf("verdict %v, %s\n%s", verdict, r, r.log)
					}
					return
				}
				s := r.only()
				if s.result.Outcome != test.want || s.result.Response != nil || s.result.Error != nil && !strings.Contains(string(s.result.Error.Detail), "left out") {
					t.Errorf("the result is %.300s", s.event.Data())
				}
				if test.want == events.Applied && r.stores.ledger[ledgerEntry].Result == nil {
					t.Error("the ledger does not know that it is finished")
				}
			})
		})
	}
}

func TestShrinkToFit(t *testing.T) {
	t.Parallel()
	r := events.Result{
		Response: json.RawMessage(`1`), Resource: &events.Resource{Type: "task", ID: strings.Repeat("x", 200)},
		Error: &events.Error{Code: "invalid", Message: strings.Repeat("ü", 1<<10), Detail: json.RawMessage(`[]`)},
	}
	for name, refused := range map[string]error{"too large": events.ErrTooLarge, "refused": publish.ErrRefused} {
		var steps []events.Result
		err := persist.Shrinking(r, func(r events.Result) error {
			steps = append(steps, r)
			if len(steps) < 3 {
				return fmt.Errorf("wrapped: %w", refused)
			}
			return nil
		})
		if err != nil || r.Error.Detail == nil || len(steps) != 3 {
			t.Fatalf("%s: %v after %d steps; the original is %+v", name, err, len(steps), r.Error)
		}
		if s := steps[1]; s.Response != nil || !s.Omitted || s.Error.Detail == nil {
			t.Errorf("%s: without its answer it is %+v", name, s)
		}
		if s := steps[2]; s.Response != nil || !s.Omitted || s.Resource != nil || !strings.Contains(string(s.Error.Detail), "left out") || len(s.Error.Message) > 1100 || s.Error.Code != "invalid" {
			t.Errorf("%s: bare it is %+v", name, s)
		}
		steps = nil
		if err := persist.Shrinking(r, func(r events.Result) error { steps = append(steps, r); return errors.New("no leader") }); err == nil || len(steps) != 1 {
			t.Errorf("%s: what passes is not shortened: %v after %d steps", name, err, len(steps))
		}
	}
}

// TestWebLink: once any answer has contained the mandant's id, all results have links.
func TestWebLink(t *testing.T) {
	t.Parallel()
	r := newRig(t, apitest.Sequence(apitest.OK(`{"id":"t-9","mandantId":"abcdefgh-1"}`), apitest.Reply{Status: 204}))
	r.wantDone(r.do(create()), events.Applied, "")
	r.stores.sent = nil
	c := update()
	c.Event.SetID("c-2")
	s := r.wantDone(r.do(c), events.Applied, "")
	if s.result.Resource.URL != "https://factro.test/abcdefgh/?p=task&pi=t-1" {
		t.Errorf("the link is %q", s.result.Resource.URL)
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	var body string
	r := newRig(t, func(_ *http.Request, b string) apitest.Reply { body = b; return apitest.OK(`{"id":"1"}`) })
	r.wantDone(r.do(create()), events.Applied, "")
	q := r.api.Seen[0]
	for name, want := range map[string]string{
		"Authorization": apitest.Key, "Accept": "application/json", "Content-Type": "application/json", "User-Agent": "factro-bridge/test",
		"Traceparent": "", "Tracestate": "", "Baggage": "",
	} {
		if got := q.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if q.URL.String() != "https://factro.test/api/core/tasks" || !regexp.MustCompile(`^{"creationDate":"20[^"]*Z","targetParentId":"p-1","title":"T"}$`).MatchString(body) {
		t.Errorf("%s with %s", q.URL, body)
	}
}
