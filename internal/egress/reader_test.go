package egress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// shelf is a Shelf in memory. fail, if set, is why it takes nothing; wait is how long it takes to begin.
type shelf struct {
	most int
	fail error
	wait time.Duration
	mu   sync.Mutex
	kept map[string]string
}

func (s *shelf) MaxAnswer() int { return s.most }

func (s *shelf) Keep(ctx context.Context, _, name string, content io.Reader) (events.ObjectRef, error) {
	if err := sleep(ctx, s.wait); err != nil {
		return events.ObjectRef{}, err
	}
	text, err := io.ReadAll(content)
	if err == nil {
		err = s.fail
	}
	if err != nil {
		return events.ObjectRef{}, fmt.Errorf("shelf: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[name] = string(text)
	return events.ObjectRef{Bucket: "FACTRO_ANSWERS_ACME", Name: name, Size: uint64(len(text))}, nil
}

// reading is a rig that also reads.
type reading struct {
	*rig
	r     *Reader
	shelf *shelf
}

func newReading(t testing.TB, script func(r *http.Request, body string) reply, change ...func(*Config)) *reading {
	t.Helper()
	x := &reading{rig: newRig(t, script, change...), shelf: &shelf{most: 1 << 10, kept: map[string]string{}}}
	var err error
	if x.r, err = NewReader(x.w.API, x.shelf); err != nil {
		t.Fatal(err)
	}
	return x
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
	x := newReading(t, always(ok(body)))
	a := x.ask(getTask("t-1"))
	if a.Status != 200 || string(a.Data) != body || a.Error != nil || a.Object != nil {
		t.Errorf("the answer is %+v: %s", a, a.Data)
	}
	if x.String() != "call GET /api/core/tasks/t-1" {
		t.Errorf("what happened: %s", x)
	}
	if key := x.api.seen[0].Header.Get("Authorization"); key != apiKey {
		t.Errorf("the key is %q", key)
	}
}

// TestQueryMistakes: what cannot be asked is told with all that is wrong with it, and nothing is called.
func TestQueryMistakes(t *testing.T) {
	t.Parallel()
	x := newReading(t, always(ok(fits)))
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
	if x.count("call") != 0 {
		t.Errorf("what happened: %s", x)
	}
}

// TestQueryErrors: what factro says no with comes through; what a gateway has to say is said in its words.
func TestQueryErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer  reply
		status  int
		code    string
		message string
	}{
		"not found": {reply{status: 404, body: `Task with id "t-1" not found`}, 404, "refused", `factro answered 404: Task with id "t-1" not found`},
		"forbidden": {reply{status: 403, body: `{"message":"no"}`}, 403, "refused", "factro answered 403: no"},
		"5xx":       {reply{status: 502, body: "<p>Bad\nGateway</p>", header: map[string]string{"Content-Type": "text/html"}}, 502, "unavailable", "factro answered 502: Bad Gateway"},
		"500":       {reply{status: 500, body: "oops"}, 500, "unavailable", "factro answered 500: oops"},
		"redirect":  {reply{status: 302}, 502, "unavailable", "factro answered 302: no text"},
		"reset":     {reset, 503, "unavailable", "no answer: connection reset by peer"},
		"nowhere":   {nowhere, 503, "unavailable", "no answer: dial tcp: connection refused"},
		"hangs":     {reply{hang: true}, 504, "unavailable", "no answer: nothing came within the timeout"},
		"cut":       {reply{status: 200, body: "{", cut: true}, 503, "unavailable", "no answer: read the answer: unexpected EOF"},
		"no JSON":   {ok("<p>sign in</p>"), 502, "unavailable", "factro answered 200 with something that is not JSON"},
		"page":      {reply{status: 200, body: "<p>Wartung</p>", header: map[string]string{"Content-Type": "text/html"}}, 502, "unavailable", "factro answered 200 with an HTML page: Wartung"},
		"empty":     {ok(""), 502, "unavailable", "factro answered 200 with no body"},
		"error":     {ok(`{"error":"expired"}`), 502, "unavailable", "factro answered 200 with an error"},
		"cut short": {ok(`{"id":"t-1"`), 502, "unavailable", "factro answered 200 with JSON that ends too early"},
		"throttled": {reply{status: 429, header: map[string]string{"Retry-After": "7"}}, 429, "throttled", deferral["throttled"]},
		"bad key":   {reply{status: 401}, 401, "unauthorized", deferral["unauthorized"]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := newReading(t, always(test.answer))
				a := x.ask(getTask("t-1"))
				x.wantError(a, test.status, test.code)
				if a.Error.Message != test.message {
					t.Errorf("the message is %q, want %q", a.Error.Message, test.message)
				}
				failures := uint32(0)
				if slices.Contains([]string{"5xx", "reset", "nowhere", "page"}, name) { // the others could be due to this very query
					failures = 1
				}
				if c := x.w.gate.breaker.Counts(); c.TotalFailures != failures {
					t.Errorf("the breaker counts %d failures, want %d", c.TotalFailures, failures)
				}
			})
		})
	}
}

// TestQueryClosedGate: while factro is not to be called, a query is told so at once, and until when.
func TestQueryClosedGate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		closing []reply // the answers that close the gate
		status  int
		code    string
		wait    time.Duration
	}{
		"429":     {[]reply{{status: 429, header: map[string]string{"Retry-After": "17"}}}, 429, "throttled", 17 * time.Second},
		"503":     {[]reply{{status: 503, header: map[string]string{"Retry-After": "17"}}}, 503, "unavailable", 17 * time.Second},
		"401":     {[]reply{{status: 401}}, 401, "unauthorized", probeEvery},
		"breaker": {[]reply{broken, broken, broken, broken, broken}, 503, "unavailable", openFor + time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := newReading(t, inTurn(append(test.closing, ok(fits))...))
				for range test.closing {
					x.ask(getTask("t-1"))
				}
				calls, began := x.count("call"), time.Now()
				for range 20 {
					a := x.ask(getTask("t-1"))
					x.wantError(a, test.status, test.code)
					if a.RetryAfter != test.wait {
						t.Errorf("come again after %s, want %s", a.RetryAfter, test.wait)
					}
				}
				if d := time.Since(began); d != 0 || x.count("call") != calls {
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

// TestQueryRetryAfter: who asks is told when the answer says to come again. What only this query meets stops nobody else.
func TestQueryRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newReading(t, inTurn(reply{status: 500, header: map[string]string{"Retry-After": "7"}}, ok(fits)))
		if a := x.ask(getTask("t-1")); a.Status != 500 || a.RetryAfter != 7*time.Second {
			t.Errorf("got %+v", a)
		}
		if a := x.ask(getTask("t-2")); a.Error != nil {
			t.Errorf("another query: %+v", a.Error)
		}
	})
}

// TestQueryProbe: a half-open breaker and a paused cloud are asked by one probe, and by no query, also in a process without
// commands; who comes meanwhile is told to come again.
func TestQueryProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answer := broken
		x := newReading(t, func(*http.Request, string) reply { return answer })
		open(x.rig)
		answer = reply{hang: true}
		time.Sleep(openFor + time.Second) //nolint:forbidigo // in a bubble
		x.lines = nil
		began := time.Now()
		var all sync.WaitGroup
		for i := range 30 {
			all.Go(func() { x.wantError(x.ask(getTask(fmt.Sprint(i))), 503, "unavailable") })
		}
		all.Wait()
		if d := time.Since(began); d > budgetWait {
			t.Errorf("it took %s", d)
		}
		if x.String() != "call GET /api/core/users/quota" {
			t.Errorf("asked with %s", x)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // in a bubble: the probe has timed out, and the breaker waited again
		if s := x.w.gate.breaker.State(); s != gobreaker.StateHalfOpen {
			t.Errorf("the breaker is %s", s)
		}
		answer = ok(fits)
		if a := x.ask(getTask("t-1")); a.Error != nil || x.w.gate.breaker.State() != gobreaker.StateClosed {
			t.Errorf("%+v, breaker %s", a.Error, x.w.gate.breaker.State())
		}
	})
}

// TestQueryNoKey: without a key nothing is asked.
func TestQueryNoKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newReading(t, keyed(func() string { return "another" }))
		for range 3 {
			x.wantError(x.ask(getTask("t-1")), 401, "unauthorized")
		}
		if x.count("call") != 1 || !x.r.Paused() {
			t.Errorf("what happened: %s", x)
		}
	})
}

// TestLargeQuery: an answer that no message can hold goes to the shelf, whole, and an answer that can does not.
func TestLargeQuery(t *testing.T) {
	t.Parallel()
	for size, kept := range map[int]bool{1 << 10: false, 1<<10 + 1: true, 1 << 20: true} {
		body := `["` + strings.Repeat("ü", (size-4)/2) + strings.Repeat("x", size%2) + `"]`
		x := newReading(t, always(ok(body)))
		a := x.ask(query("listTasks", "{}"))
		switch {
		case a.Error != nil || a.Status != 200 || (a.Object != nil) != kept:
			t.Errorf("%d bytes: %+v", size, a)
		case !kept && string(a.Data) != body:
			t.Errorf("%d bytes: got %d", size, len(a.Data))
		case kept:
			if a.Data != nil || a.Object.Size != uint64(size) || x.shelf.kept[a.Object.Name] != body ||
				!strings.HasPrefix(a.Object.Name, "acme.listTasks.") || a.Object.Bucket != "FACTRO_ANSWERS_ACME" {
				t.Errorf("%d bytes: %+v", size, a.Object)
			}
		}
	}
}

// TestLargeQueryFails: half an answer is none, whoever broke it off; and that a shelf is full says nothing about factro.
func TestLargeQueryFails(t *testing.T) {
	t.Parallel()
	large := `["` + strings.Repeat("7", 1<<12) + `"]`
	x := newReading(t, always(reply{status: 200, body: large, cut: true}))
	x.wantError(x.ask(query("listTasks", "{}")), 503, "unavailable")
	if len(x.shelf.kept) != 0 {
		t.Errorf("on the shelf are %d", len(x.shelf.kept))
	}
	x = newReading(t, always(ok(large)))
	x.shelf.fail = errors.New("the shelf is full")
	for range 10 {
		a := x.ask(query("listTasks", "{}"))
		x.wantError(a, 503, "unavailable")
		if !strings.Contains(a.Error.Message, "the shelf is full") || a.RetryAfter != shelfAgain {
			t.Errorf("the message is %q; come again after %s", a.Error.Message, a.RetryAfter)
		}
	}
	if c := x.w.gate.breaker.Counts(); c.TotalFailures != 0 {
		t.Errorf("the breaker counts %+v", c)
	}
}
