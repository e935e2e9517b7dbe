package subject_test

import (
	"slices"
	"testing"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/subject"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for s, want := range map[string][]string{
		"f.query.a.b":      {"a", "b"},
		"f.query.ü.b":      {"ü", "b"},
		"f.query.a":        nil,
		"f.query.a.b.c":    nil,
		"f.query.a.":       nil,
		"f.query..b":       nil,
		"f.query.a.\xff":   nil,
		"f.event.a.b":      nil,
		"f.query":          nil,
		"":                 nil,
		"of.f.query.a.b":   nil,
		"f.query.a.b\xc3.": nil,
	} {
		if got := subject.Split(s, "f.query.", 2); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}
