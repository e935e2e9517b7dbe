package query

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// reading is a reader between a scripted factro and a store.
type reading struct {
	*apitest.Diary
	t     testing.TB
	core  *coreapi.API
	r     *Reader
	api   *apitest.Factro
	store *apitest.AnswerStore
	keys  *fakeKeys
	copy  *fakeMirror
}

func newReading(t testing.TB, script func(r *http.Request, body string) apitest.Reply, change ...func(*coreapi.Config)) *reading {
	t.Helper()
	d := &apitest.Diary{}
	x := &reading{Diary: d, t: t, api: &apitest.Factro{Diary: d, Script: script}, store: &apitest.AnswerStore{Most: 1 << 10, Kept: map[string]string{}}, keys: &fakeKeys{entries: map[string]keys.Entry{}}, copy: &fakeMirror{}}
	cfg := coreapi.Config{
		Cloud: "acme", URL: "https://factro.test/api/core/", Key: secret.Source{Value: apitest.Key},
		RequestsPerMinute: 480, Timeout: 20 * time.Second, UserAgent: "factro-bridge/test",
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if x.core, err = coreapi.New(cfg, x.api, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if x.r, err = New(x.core, x.store, x.keys, x.copy, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return x
}

// command makes the call of a command as its worker does: in its turn, in front of the queries.
func (x *reading) command(operation, target string) {
	x.t.Helper()
	op, _ := factro.Lookup(operation)
	if err := x.core.AwaitSlot(x.t.Context(), nil); err != nil {
		x.t.Fatal(err)
	}
	call := translate.Call{Method: op.Method, Target: target, Body: []byte("{}")}
	if got, j := x.core.Exchange(x.t.Context(), coreapi.Attempt{Op: op, Number: 1}, call, x.core.Key()); j != coreapi.Done {
		x.t.Fatalf("the command is judged %d: %+v", j, got)
	}
}

func (x *reading) update() { x.t.Helper(); x.command("updateTask", "/tasks/t-1") }

// open brings the breaker to open.
func (x *reading) open() {
	x.t.Helper()
	for range 5 {
		x.core.Exchange(x.t.Context(), coreapi.Attempt{Op: coreapi.Probe, Number: 1}, translate.Call{Method: coreapi.Probe.Method, Target: coreapi.Probe.Path}, apitest.Key)
	}
	if s := x.core.Breaker(); s != "open" {
		x.t.Fatalf("after five failures the breaker is %s", s)
	}
}

func query(operation, data string) queries.Query {
	return queries.Query{Address: events.Address{Cloud: "acme", Resource: "task", Operation: operation}, Data: []byte(data)}
}

func getTask(id string) queries.Query { return query("getTask", `{"taskId":"`+id+`"}`) }

func (x *reading) ask(q queries.Query) queries.Answer { return x.r.Query(context.Background(), q) }

func (x *reading) wantError(a queries.Answer, status int, code string) {
	x.t.Helper()
	if a.Status != status || a.Error == nil || a.Error.Code != code || a.Error.Message == "" || a.Data != nil || a.Object != nil {
		x.t.Errorf("the answer is %+v with %+v, want %d %s: %s", a, a.Error, status, code, x)
	}
}

// TestQuery: the answer is what factro said, byte for byte, and the parameters go where they belong.
func TestQuery(t *testing.T) {
	t.Parallel()
	const body = "{ \"id\":\"t-1\",\n \"title\":\"Größe <b>\", \"n\":1.10 }\n"
	x := newReading(t, apitest.Always(apitest.OK(body)))
	a := x.ask(getTask("t-1"))
	if a.Status != 200 || string(a.Data) != body || a.Error != nil || a.Object != nil {
		t.Errorf("the answer is %+v: %s", a, a.Data)
	}
	if x.String() != "call GET /api/core/tasks/t-1" {
		t.Errorf("what happened: %s", x)
	}
	if key := x.api.Seen[0].Header.Get("Authorization"); key != apitest.Key {
		t.Errorf("the key is %q", key)
	}
}

// TestQueryMistakes: what cannot be asked is reported with all that is wrong with it, and nothing is called.
func TestQueryMistakes(t *testing.T) {
	t.Parallel()
	x := newReading(t, apitest.Always(apitest.OK(apitest.Fits)))
	x.wantError(x.ask(query("inventTask", "{}")), 404, "unknown-operation")
	x.wantError(x.ask(query("createTask", `{"title":"T","targetParentId":"p"}`)), 404, "unknown-operation")
	x.wantError(x.ask(query("listProjects", "{}")), 400, "invalid") // of the resource project
	broken := getTask("t-1")
	broken.Mistake = errors.New("no event")
	x.wantError(x.ask(broken), 400, "invalid")

	for data, want := range map[string][]string{
		`{}`: {""}, `{"taskId":"t","x":1}`: {"/x"}, `{"taskId":"../x","y":1,"x":1}`: {"/taskId", "/x", "/y"}, `[]`: {""}, `{`: {""},
	} {
		a := x.ask(query("getTask", data))
		x.wantError(a, 400, "invalid")
		var fields []events.FieldError
		if err := json.Unmarshal(a.Error.Detail, &fields); err != nil {
			t.Errorf("%s: %v", data, err)
		}
		var got []string
		for _, f := range fields {
			got = append(got, f.Pointer)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: mistakes at %q, want %q", data, got, want)
		}
	}
	if x.Count("call") != 0 {
		t.Errorf("what happened: %s", x)
	}
}

// TestQueryErrors: what factro says no with comes through; what a gateway has to say is said in its words.
func TestQueryErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer  apitest.Reply
		status  int
		code    string
		message string
	}{
		"not found": {apitest.Reply{Status: 404, Body: `Task with id "t-1" not found`}, 404, "refused", `factro answered 404: Task with id "t-1" not found`},
		"forbidden": {apitest.Reply{Status: 403, Body: `{"message":"no"}`}, 403, "refused", "factro answered 403: no"},
		"5xx":       {apitest.Reply{Status: 502, Body: "<p>Bad\nGateway</p>", Header: map[string]string{"Content-Type": "text/html"}}, 502, "unavailable", "factro answered 502: Bad Gateway"},
		"500":       {apitest.Reply{Status: 500, Body: "oops"}, 500, "unavailable", "factro answered 500: oops"},
		"redirect":  {apitest.Reply{Status: 302}, 502, "unavailable", "factro answered 302: no text"},
		"reset":     {apitest.Reset, 503, "unavailable", "no answer: connection reset by peer"},
		"nowhere":   {apitest.Nowhere, 503, "unavailable", "no answer: dial tcp: connection refused"},
		"hangs":     {apitest.Reply{Hang: true}, 504, "unavailable", "no answer: nothing came within the timeout"},
		"cut":       {apitest.Reply{Status: 200, Body: "{", Cut: true}, 503, "unavailable", "no answer: read the answer: unexpected EOF"},
		"no JSON":   {apitest.OK("<p>sign in</p>"), 502, "unavailable", "factro answered 200 with something that is not JSON"},
		"page":      {apitest.Reply{Status: 200, Body: "<p>Wartung</p>", Header: map[string]string{"Content-Type": "text/html"}}, 502, "unavailable", "factro answered 200 with an HTML page: Wartung"},
		"empty":     {apitest.OK(""), 502, "unavailable", "factro answered 200 with no body"},
		"error":     {apitest.OK(`{"error":"expired"}`), 502, "unavailable", "factro answered 200 with an error"},
		"cut short": {apitest.OK(`{"id":"t-1"`), 502, "unavailable", "factro answered 200 with JSON that ends too early"},
		"throttled": {apitest.Reply{Status: 429, Header: map[string]string{"Retry-After": "7"}}, 429, "throttled", "factro's request budget is used up for now"},
		"bad key":   {apitest.Reply{Status: 401}, 401, "unauthorized", "factro does not accept the API key; an operator has to renew it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := newReading(t, apitest.Always(test.answer))
				a := x.ask(getTask("t-1"))
				x.wantError(a, test.status, test.code)
				if a.Error.Message != test.message {
					t.Errorf("the message is %q, want %q", a.Error.Message, test.message)
				}
				failures := 0
				if slices.Contains([]string{"5xx", "reset", "nowhere", "page"}, name) { // the others could be due to this very query
					failures = 1
				}
				if c := x.core.Failures(); c != failures {
					t.Errorf("the breaker counts %d failures, want %d", c, failures)
				}
			})
		})
	}
}

// TestQueryClosedGate: while factro is not to be called, a query hears so at once, and until when.
func TestQueryClosedGate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		closing []apitest.Reply // the answers that close the gate
		status  int
		code    string
		wait    time.Duration
	}{
		"429":     {[]apitest.Reply{{Status: 429, Header: map[string]string{"Retry-After": "17"}}}, 429, "throttled", 17 * time.Second},
		"503":     {[]apitest.Reply{{Status: 503, Header: map[string]string{"Retry-After": "17"}}}, 503, "unavailable", 17 * time.Second},
		"401":     {[]apitest.Reply{{Status: 401}}, 401, "unauthorized", 30 * time.Second},
		"breaker": {[]apitest.Reply{apitest.Broken, apitest.Broken, apitest.Broken, apitest.Broken, apitest.Broken}, 503, "unavailable", 15*time.Second + time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := newReading(t, apitest.Sequence(append(test.closing, apitest.OK(apitest.Fits))...))
				for range test.closing {
					x.ask(getTask("t-1"))
				}
				calls, began := x.Count("call"), time.Now()
				for range 20 {
					a := x.ask(getTask("t-1"))
					x.wantError(a, test.status, test.code)
					if a.RetryAfter != test.wait {
						t.Errorf("come again after %s, want %s", a.RetryAfter, test.wait)
					}
				}
				if d := time.Since(began); d != 0 || x.Count("call") != calls {
					t.Errorf("it took %s and %s", d, x)
				}
				time.Sleep(test.wait) //nolint:forbidigo // in a bubble
				if a := x.ask(getTask("t-1")); a.Error != nil {
					t.Errorf("after the wait: %+v", a.Error)
				}
			})
		})
	}
}

// TestQueryRetryAfter: who asks hears when the answer says to come again, and so does everybody who comes before that time.
func TestQueryRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newReading(t, apitest.Sequence(apitest.Reply{Status: 500, Header: map[string]string{"Retry-After": "7"}}, apitest.OK(apitest.Fits)))
		if a := x.ask(getTask("t-1")); a.Status != 500 || a.RetryAfter != 7*time.Second {
			t.Errorf("got %+v", a)
		}
		if a := x.ask(getTask("t-2")); a.Status != 503 || a.RetryAfter != 7*time.Second || x.Count("call") != 1 {
			t.Errorf("another query: %+v", a)
		}
		time.Sleep(7 * time.Second) //nolint:forbidigo // in a bubble
		if a := x.ask(getTask("t-2")); a.Error != nil {
			t.Errorf("a query after that time: %+v", a.Error)
		}
	})
}

// TestQueryProbe: a half-open breaker and a paused cloud are asked by one probe, and by no query, also in a process without
// commands; who comes meanwhile is asked to come again.
func TestQueryProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer := apitest.Broken
		x := newReading(t, func(*http.Request, string) apitest.Reply { return answer })
		x.open()
		answer = apitest.Reply{Hang: true}
		time.Sleep(15*time.Second + time.Second) //nolint:forbidigo // in a bubble
		x.Lines = nil
		began := time.Now()
		var all sync.WaitGroup
		for i := range 30 {
			all.Go(func() { x.wantError(x.ask(getTask(fmt.Sprint(i))), 503, "unavailable") })
		}
		all.Wait()
		if d := time.Since(began); d > longestWait {
			t.Errorf("it took %s", d)
		}
		if x.String() != "call GET /api/core/users/quota" {
			t.Errorf("asked with %s", x)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // in a bubble: the probe has timed out, and the breaker waited again
		if s := x.core.Breaker(); s != "half-open" {
			t.Errorf("the breaker is %s", s)
		}
		answer = apitest.OK(apitest.Fits)
		if a := x.ask(getTask("t-1")); a.Error != nil || x.core.Breaker() != "closed" {
			t.Errorf("%+v, breaker %s", a.Error, x.core.Breaker())
		}
	})
}

// TestQueryNoKey: without a key nothing is asked.
func TestQueryNoKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newReading(t, apitest.Keyed(func() string { return "another" }))
		for range 3 {
			x.wantError(x.ask(getTask("t-1")), 401, "unauthorized")
		}
		if x.Count("call") != 1 || !x.core.Paused() {
			t.Errorf("what happened: %s", x)
		}
	})
}

// TestLargeQuery: an answer that no message can hold goes to the store, whole, and an answer that can does not.
func TestLargeQuery(t *testing.T) {
	t.Parallel()
	for size, kept := range map[int]bool{1 << 10: false, 1<<10 + 1: true, 1 << 20: true} {
		body := `["` + strings.Repeat("ü", (size-4)/2) + strings.Repeat("x", size%2) + `"]`
		x := newReading(t, apitest.Always(apitest.OK(body)))
		a := x.ask(query("listTasks", "{}"))
		switch {
		case a.Error != nil || a.Status != 200 || (a.Object != nil) != kept:
			t.Errorf("%d bytes: %+v", size, a)
		case !kept && string(a.Data) != body:
			t.Errorf("%d bytes: got %d", size, len(a.Data))
		case kept:
			if a.Data != nil || a.Object.Size != uint64(size) || x.store.Kept[a.Object.Name] != body ||
				!strings.HasPrefix(a.Object.Name, "acme.listTasks.") || a.Object.Bucket != "FACTRO_ANSWERS_ACME" {
				t.Errorf("%d bytes: %+v", size, a.Object)
			}
		}
	}
}

// TestLargeQueryFails: half an answer is none, whoever broke it off; and that a store is full says nothing about factro.
func TestLargeQueryFails(t *testing.T) {
	t.Parallel()
	large := `["` + strings.Repeat("7", 1<<12) + `"]`
	x := newReading(t, apitest.Always(apitest.Reply{Status: 200, Body: large, Cut: true}))
	x.wantError(x.ask(query("listTasks", "{}")), 503, "unavailable")
	if len(x.store.Kept) != 0 {
		t.Errorf("in the store are %d", len(x.store.Kept))
	}
	x = newReading(t, apitest.Always(apitest.OK(large)))
	x.store.Fail = errors.New("the store is full")
	for range 10 {
		a := x.ask(query("listTasks", "{}"))
		x.wantError(a, 503, "unavailable")
		if !strings.Contains(a.Error.Message, "the store is full") || a.RetryAfter != storeAgain {
			t.Errorf("the message is %q; come again after %s", a.Error.Message, a.RetryAfter)
		}
	}
	if c := x.core.Failures(); c != 0 {
		t.Errorf("the breaker counts %+v", c)
	}
}
