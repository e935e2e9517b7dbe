package query

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/lookup"
	"github.com/factro-bridge/factro-bridge/internal/bus/queries"
	"github.com/factro-bridge/factro-bridge/internal/control"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/apitest"
	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// fakeMirror implements Mirror.
type fakeMirror struct {
	found lookup.Found
	asked []string
}

func (m *fakeMirror) Find(_ context.Context, resource, id string, maxAge time.Duration) lookup.Found {
	m.asked = append(m.asked, fmt.Sprint(resource, " ", id, " ", maxAge))
	return m.found
}

func aged(q queries.Query) queries.Query {
	q.MaxAge = time.Minute
	return q
}

// TestMirror: a query that says how old its answer may be is answered from the copy, or else as any other.
func TestMirror(t *testing.T) {
	t.Parallel()
	const text = `{"id":"t-1","title":"copy"}`
	fresh := lookup.Found{Outcome: lookup.Fresh, Text: []byte(text), Age: 1500 * time.Millisecond}
	for name, tt := range map[string]struct {
		query  queries.Query
		found  lookup.Found
		asked  string
		copied bool
	}{
		"fresh":               {aged(getTask("t-1")), fresh, "task t-1 1m0s", true},
		"no age is accepted":  {getTask("t-1"), fresh, "", false},
		"stale":               {aged(getTask("t-1")), lookup.Found{Outcome: lookup.Stale}, "task t-1 1m0s", false},
		"failed":              {aged(getTask("t-1")), lookup.Found{Outcome: lookup.Failed, Err: errors.New("away")}, "task t-1 1m0s", false},
		"an id with a dot":    {aged(getTask("t.1")), lookup.Found{Outcome: lookup.Absent}, "task t.1 1m0s", false},
		"by external key":     {aged(query("getTask", `{"taskId":{"externalkey":"JIRA-17"}}`)), fresh, "task t-1 1m0s", true},
		"a list":              {aged(query("listTasks", "{}")), fresh, "", false},
		"a part of an object": {aged(query("getTaskReadRights", `{"taskId":"t-1"}`)), fresh, "", false},
		"too long":            {aged(getTask("t-1")), lookup.Found{Outcome: lookup.Fresh, Text: []byte(strings.Repeat("x", 1<<10+1))}, "task t-1 1m0s", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newReading(t, func(r *http.Request, _ string) apitest.Reply {
				if strings.HasSuffix(r.URL.Path, "/tasks") {
					return apitest.OK("[]")
				}
				return apitest.OK(apitest.Fits)
			})
			x.keys.set("t-1")
			x.copy.found = tt.found
			a := x.ask(tt.query)
			if a.Status != http.StatusOK || strings.Join(x.copy.asked, ",") != tt.asked || (x.Count("call") == 0) != tt.copied {
				t.Errorf("the answer is %+v, the mirror was asked %q: %s", a, x.copy.asked, x)
			}
			if tt.copied != (string(a.Data) == text) || tt.copied != (a.Age != nil) || tt.copied && *a.Age != fresh.Age {
				t.Errorf("the answer is %s, of the age %v", a.Data, a.Age)
			}
		})
	}
}

// TestMirrorPaused: while an operator has paused the queries, the mirror answers none either.
func TestMirrorPaused(t *testing.T) {
	t.Parallel()
	board := control.NewBoard()
	board.Set(map[control.Place]control.Pause{{Cloud: "acme", Direction: control.Queries}: {Who: "op"}})
	x := newReading(t, apitest.Always(apitest.OK(apitest.Fits)), func(c *coreapi.Config) { c.Pauses = board })
	x.copy.found = lookup.Found{Outcome: lookup.Fresh, Text: []byte("{}")}
	if a := x.ask(aged(getTask("t-1"))); a.Status != http.StatusServiceUnavailable || a.Error.Code != "paused" || len(x.copy.asked) != 0 {
		t.Errorf("the answer is %+v, the mirror was asked %q", a, x.copy.asked)
	}
}

// TestReadBy: each mirrored resource that has an operation for one object is found by that operation, and by no other.
func TestReadBy(t *testing.T) {
	t.Parallel()
	read := map[string]string{}
	for _, op := range factro.Operations() {
		if resource, ok := readBy(op); ok {
			read[resource] += op.Name
		}
	}
	for _, name := range factro.MirroredResources() {
		m, _ := factro.MirrorOf(name)
		if read[name] != m.Read.Name {
			t.Errorf("%s is read by %q, want %q", name, read[name], m.Read.Name)
		}
		if !m.ByParent && len(m.Read.Params) != 1 {
			t.Errorf("%s has other parameters than the id: %v", m.Read.Name, m.Read.Params)
		}
	}
}
