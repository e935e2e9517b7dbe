package factro

import (
	"slices"
	"strings"
	"testing"
)

// TestSearches: what the table says of a search exists, and every create says what a human should look at.
func TestSearches(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		if (op.Search != nil) != op.Creates() {
			t.Errorf("%s: search %v, create %t", op.Name, op.Search, op.Creates())
		}
		if op.Search == nil {
			continue
		}
		if !strings.HasPrefix(op.Search.Check, "Look ") {
			t.Errorf("%s: nothing says what to look at", op.Name)
		}
		if op.Search.List == "" {
			continue
		}
		list, known := Lookup(op.Search.List)
		if !known || list.Writes() || list.Answer != AnswerList {
			t.Errorf("%s: %s is no list", op.Name, op.Search.List)
			continue
		}
		sent := func(field string) bool {
			name, _, _ := strings.Cut(field, ".")
			return slices.ContainsFunc(op.Fields, func(f Field) bool { return f.Name == name })
		}
		var params []string
		for _, p := range op.Search.Params {
			params = append(params, p.Name)
			if !slices.ContainsFunc(p.Fields, sent) {
				t.Errorf("%s: no command has %v", op.Name, p.Fields)
			}
			if via, known := Lookup(p.Via); p.Via != "" && (!known || via.Writes() || len(via.Params) != 1 || via.Params[0].Field != p.Param) {
				t.Errorf("%s: %s(%s) is no way to a parameter", op.Name, p.Via, p.Param)
			}
		}
		for _, p := range list.Params {
			if !slices.Contains(params, p.Field) {
				t.Errorf("%s: %s needs %s", op.Name, list.Name, p.Field)
			}
		}
		for _, c := range slices.Concat(op.Search.Same, op.Search.Like) {
			if !sent(c.Field) || len(c.Items) == 0 {
				t.Errorf("%s: no command has %s", op.Name, c.Field)
			}
		}
	}
}
