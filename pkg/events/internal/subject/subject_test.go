package subject_test

import (
	"slices"
	"strings"
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

// TestToken: a name of 1 to 128 letters, digits, _ and - is a token as it is, and any other name has the unnamed one.
func TestToken(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("x", 128)
	for _, name := range []string{"a", "z", "A", "Z", "0", "9", "_", "-", "Task-State_9", longest} {
		if got := subject.Token(name); got != name || !subject.IsToken(name) {
			t.Errorf("%q: got %q", name, got)
		}
	}
	// The characters beside the allowed ones come first: those before a, A, 0 and behind z, Z, 9.
	for _, name := range []string{"`", "{", "@", "[", "/", ":", "", longest + "x", "a.b", "a b", "ü", "*", ">", "a\x00", "\xff"} {
		if got := subject.Token(name); got != "_" || subject.IsToken(name) {
			t.Errorf("%q: got %q", name, got)
		}
	}
}
