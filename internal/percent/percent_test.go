package percent_test

import (
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/percent"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"", "plain", "Euro € 😀", `say "hi" to C:\temp`, `"quoted"`, "100% %25 %zz", "a\r\nce-id: forged", "\ttab\x00nul\x7f",
		" blanks around ", "%", strings.Repeat("ä", 1000),
	} {
		encoded := percent.Encode(value)
		if strings.ContainsFunc(encoded, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) {
			t.Errorf("%q became %q, which no header may hold", value, encoded)
		}
		if got, err := percent.Decode(encoded); err != nil || got != value {
			t.Errorf("%q came back as %q, %v", value, got, err)
		}
	}
}

// TestDecode reads what other senders write.
func TestDecode(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		` a b `: "a b", `"a \"b\" %25"`: `a "b" %`, "%c3%BC": "ü", "ü": "ü", `""`: "",
	} {
		if got, err := percent.Decode(s); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", s, got, err, want)
		}
	}
	for s, want := range map[string]string{
		"%zz": `has the broken escape "%zz"`, "%4": `has the broken escape "%4"`, "%ff": "is not UTF-8",
		`"a`: "has no closing quote", `"a\`: "has no closing quote", `"a"b`: "goes on after its closing quote",
	} {
		if got, err := percent.Decode(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %q, %v; want %s", s, got, err, want)
		}
	}
}
