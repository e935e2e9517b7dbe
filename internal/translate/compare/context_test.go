package compare

import (
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// TestContextOf: contexts are compared whatever the order of their keys, and names of objects are recognised.
func TestContextOf(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]Context{
		`{"context":{"b":1.10,"a":{"c":["x",null,true]}}}`: {Text: `{"a":{"c":["x",null,true]},"b":1.10}`},
		"\xef\xbb\xbf" + `{"context":{"entityId":"7"}}`:    {Text: `{"entityId":"7"}`, NamesEntity: true},
		`{"context":{"x":"00000000-0000-4000-8000-000000000001"}}`: {
			Text: `{"x":"00000000-0000-4000-8000-000000000001"}`, NamesEntity: true,
		},
		`{"context":{"list":[{"id":7}]}}`:   {Text: `{"list":[{"id":7}]}`, NamesEntity: true},
		`{"context":{"taskState":"valid"}}`: {Text: `{"taskState":"valid"}`},
		`{"context":{}}`:                    {Text: `{}`},
		`{"context":null}`:                  {},
		`{}`:                                {},
		`[]`:                                {},
		`no JSON`:                           {},
	} {
		if got := ContextOf([]byte(body)); got.Text != want.Text || got.NamesEntity != want.NamesEntity {
			t.Errorf("%s: %+v", body, got)
		}
	}
	if got := ContextOf([]byte(`{"context":{"list":[` + strings.Repeat(`"x",`, 100) + `1]}}`)); len(got.Values) != maxValues {
		t.Errorf("%d values are held", len(got.Values))
	}
}

// TestContextPlain: equal contexts are equal in whatever form; the text itself, which ids are derived from, stays.
func TestContextPlain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{`{"context":{"name":"Gr\u00f6\u00dfe","n":5}}`, `{"context":{"n":5.0,"name":"Gro\u0308ße "}}`, true},
		{`{"context":{"text":"a\r\nb"}}`, `{"context":{"text":"a\nb"}}`, true},
		{`{"context":{"id":"a"}}`, `{"context":{"id":"b"}}`, false},
		{`{}`, `{"context":{}}`, false},
	} {
		if got := ContextOf([]byte(test.a)).Plain() == ContextOf([]byte(test.b)).Plain(); got != test.want {
			t.Errorf("%s and %s: got %v", test.a, test.b, got)
		}
	}
}

// TestContextPlainCost: a usual context is in the form for comparison already, and costs nothing.
//
//nolint:paralleltest // what is counted is allocated by the whole process
func TestContextPlainCost(t *testing.T) {
	c := ContextOf([]byte(`{"context":{"entityId":"8d3f6c1e","title":"from ~ to","n":5,"list":[null,true]}}`))
	if n := testing.AllocsPerRun(100, func() { _ = c.Plain() }); n != 0 {
		t.Errorf("%q costs %v allocations", c.Text, n)
	}
}

func TestContextsStayApart(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, value := range []string{`"\ud800"`, `"\ud801"`, "\"\xff\"", "\"\xfe\"", `"\ufffd"`, `"x\\\ud800"`, `"x\\\\ud800"`} {
		c := ContextOf([]byte(`{"action":"A","context":{"entityId":` + value + `}}`))
		if c.Text == "" || len(c.Values) != 1 {
			t.Errorf("%q has the context %q with %q", value, c.Text, c.Values)
		}
		if other, ok := seen[c.Text]; ok {
			t.Errorf("%q and %q have the context %q", value, other, c.Text)
		}
		seen[c.Text] = value
		canonical, err := jsontext.Canonical([]byte(`{"a":` + value + `}`))
		if other, ok := seen[string(canonical)]; ok || err != nil {
			t.Errorf("%q and %q are both %q: %v", value, other, canonical, err)
		}
		seen[string(canonical)] = value
	}
}
