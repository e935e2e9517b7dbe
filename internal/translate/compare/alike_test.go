package compare

import (
	"strings"
	"testing"
	"time"
)

// TestAlike: values are compared as people do, inside lists and objects too.
func TestAlike(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		sent, have string
		want       bool
	}{
		{`"ä"`, `"a\u0308"`, true},
		{`"a\u0308"`, `"ä"`, true},
		{`"a"`, `"ä"`, false},
		{`"x \t\r\ny\r\n"`, `"x\ny"`, true},
		{`"x\ry"`, `"x\ny"`, true},
		{`"x\n y"`, `"x\ny"`, false},
		{`"x  y"`, `"x y"`, false},
		{`" x\u00a0"`, `"x"`, true},
		{`""`, `null`, true},
		{`" "`, `""`, true},
		{`5`, `5.0`, true},
		{`5.0`, `5`, true},
		{`5e0`, `5.00`, true},
		{`0.1`, `0.10`, true},
		{`5`, `5.1`, false},
		{`-0.0`, `0`, true},
		{`9007199254740993`, `9007199254740992`, false},
		{`1e400`, `1e400`, true},
		{`1e400`, `1e401`, false},
		{`1e31`, `1` + strings.Repeat("0", 31), true},
		{`1.24e300`, `124e298`, true},
		{`1.24e300`, `1.2e300`, false},
		{`5`, `"5"`, false},
		{`5`, `true`, false},
		{`["a\u0308 ",5.0,null]`, `["ä",5,null]`, true},
		{`{"b":5,"a":"x\r\n"}`, `{"a":"x","b":5.0}`, true},
		{`["a","b"]`, `["b","a"]`, false},
		{`"2026-11-02T08:00:00Z"`, `"2026-11-02T09:00:00+01:00"`, true},
	} {
		if got := Alike([]byte(test.sent), []byte(test.have)); got != test.want {
			t.Errorf("%s and %s: got %v", test.sent, test.have, got)
		}
	}
}

// TestInstantOf: a time is an instant, a plain date, or milliseconds since 1970 as far as nanoseconds reach.
func TestInstantOf(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]time.Time{
		`"2026-11-02T09:00:00+01:00"`: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC),
		`"2026-11-02"`:                time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC),
		`1793606401000`:               time.Date(2026, 11, 2, 8, 0, 1, 0, time.UTC),
		`1.793606401e12`:              time.Date(2026, 11, 2, 8, 0, 1, 0, time.UTC),
		`1`:                           time.Date(1970, 1, 1, 0, 0, 0, 1e6, time.UTC),
		`9223372036854`:               time.Date(2262, 4, 11, 23, 47, 16, 854e6, time.UTC),
		`9223372036854.775807`:        time.Date(2262, 4, 11, 23, 47, 16, 854e6, time.UTC),
	} {
		if got, ok := instantOf([]byte(raw)); !ok || !got.Equal(want) {
			t.Errorf("%s: got %s, %t, want %s", raw, got, ok, want)
		}
	}
	for _, raw := range []string{`0`, `-1`, `9223372036855`, `1e300`, `"1793606401000"`, `"2026-11-02 08:00"`, `""`, `null`, `true`, ``} {
		if got, ok := instantOf([]byte(raw)); ok {
			t.Errorf("%s: got %s", raw, got)
		}
	}
}
