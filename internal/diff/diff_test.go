package diff_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/diff"
)

func parse(t *testing.T, text string) diff.Object {
	t.Helper()
	if text == "" {
		return nil
	}
	o, err := diff.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestBetween(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ before, after, want string }{
		"the same":           {`{"a":1}`, `{"a":1}`, `{"before":{},"after":{},"changed":[]}`},
		"other blanks":       {`{"a":{"x":1,"y":[1,2]}}`, `{"a": {"y":[1, 2],"x":1}}`, `{"before":{},"after":{},"changed":[]}`},
		"an order in a list": {`{"a":[1,2]}`, `{"a":[2,1]}`, `{"before":{"a":[1,2]},"after":{"a":[2,1]},"changed":["a"]}`},
		"noise alone":        {`{"a":1,"changeDate":"x"}`, `{"a":1,"changeDate":"y"}`, `{"before":{},"after":{},"changed":[]}`},
		"noise and more":     {`{"a":1,"b":1,"changeDate":"x"}`, `{"a":2,"b":1,"changeDate":"y"}`, `{"before":{"a":1},"after":{"a":2},"changed":["a"]}`},
		"a field more":       {`{"a":1}`, `{"a":1,"b":null}`, `{"before":{},"after":{"b":null},"changed":["b"]}`},
		"a field less":       {`{"a":1,"b":null}`, `{"a":1}`, `{"before":{"b":null},"after":{},"changed":["b"]}`},
		"several":            {`{"b":1,"a":"ä"}`, `{"b":2,"a":"\u00e4","c":3}`, `{"before":{"b":1},"after":{"b":2,"c":3},"changed":["b","c"]}`},
		"new":                {``, `{"b":1,"a":2}`, `{"before":{},"after":{"a":2,"b":1},"changed":["a","b"]}`},
		"gone":               {`{"b":1,"a":2}`, ``, `{"before":{"a":2,"b":1},"after":{},"changed":["a","b"]}`},
		"large numbers":      {`{"a":12345678901234567890}`, `{"a":12345678901234567891}`, `{"before":{"a":12345678901234567890},"after":{"a":12345678901234567891},"changed":["a"]}`},
	} {
		got, err := json.Marshal(diff.Between(parse(t, tt.before), parse(t, tt.after), []string{"changeDate"}))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, tt.want)
		}
	}
}

// TestFold: whatever happens to an object, its changes lead from its first state to its last.
func TestFold(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	object := func() diff.Object {
		o := diff.Object{}
		for field := range 5 {
			if random.IntN(3) > 0 {
				o[fmt.Sprint("f", field)] = json.RawMessage(fmt.Sprint(random.IntN(3)))
			}
		}
		return o
	}
	for range 1000 {
		state := object()
		folded := state
		for range 10 {
			next := object()
			folded = diff.Fold(folded, diff.Between(state, next, nil))
			state = next
		}
		if d := diff.Between(folded, state, nil); !d.None() {
			t.Fatalf("folded %v, want %v", folded, state)
		}
	}
}

func TestWithout(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text  string
		names []string
		want  string
	}{
		{` {"a": 1.0, "b": {"x" : 2}} `, []string{"c"}, ` {"a": 1.0, "b": {"x" : 2}} `},
		{`{"a": 1.0, "b": {"x" : 2},"c":"ü"}`, []string{"a"}, `{"b":{"x" : 2},"c":"ü"}`},
		{`{"a": 1.0}`, []string{"a"}, `{}`},
		{`{"a":1,"b":null}`, []string{"b"}, `{"a":1}`},
	} {
		if got, err := diff.Without([]byte(tt.text), tt.names); err != nil || string(got) != tt.want {
			t.Errorf("%s without %s: got %s, %v", tt.text, tt.names, got, err)
		}
	}
	for _, text := range []string{"", "[]", "1", `{"a":`, "null"} {
		if got, err := diff.Without([]byte(text), []string{"a"}); err == nil {
			t.Errorf("%q: got %s", text, got)
		}
	}
}

func TestChangedIsSorted(t *testing.T) {
	t.Parallel()
	d := diff.Between(nil, parse(t, `{"z":1,"m":1,"a":1,"b":1}`), nil)
	if !slices.IsSorted(d.Changed) || len(d.Changed) != 4 {
		t.Errorf("got %s", d.Changed)
	}
}
