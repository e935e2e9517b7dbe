package jsontext

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestValid(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bool{
		`"a"`: true, `"ä😀"`: true, `"\ud83d\ude00"`: true, `"\\ud800"`: true, `"\\\ud800"`: false, `"\ud800"`: false, `"\udc00"`: false,
		`"\ud800\ud800\udc00"`: false, `"\ud800\udc00\udc00"`: false, "\"\xff\"": false, `"\uD800\uDC00"`: true, `"\ufffd"`: true,
		`{"a":["\ud800"]}`: false, "": true, `"\`: true,
	} {
		if got := Valid(raw); got != want {
			t.Errorf("%s: got %v", raw, got)
		}
	}
}

// FuzzKeepApart holds that what is valid stays, that nothing becomes U+FFFD, and that the result is still JSON.
func FuzzKeepApart(f *testing.F) {
	for _, raw := range []string{`"\ud800"`, `"\ud800x\\udc00"`, "\"\xff\"", `{"\udead":["\ud83d\ude00","\\\ud800"]}`, strings.Repeat("6", 400)} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if !json.Valid([]byte(raw)) {
			return
		}
		out := KeepApart(raw)
		if Valid(raw) != (out == raw) {
			t.Errorf("%q became %q", raw, out)
		}
		var v any
		d := json.NewDecoder(strings.NewReader(out))
		d.UseNumber() // a number may be larger than a float64
		if err := d.Decode(&v); err != nil || !utf8.ValidString(out) || !Valid(out) {
			t.Errorf("%q became %q: %v", raw, out, err)
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(raw, "\ufffd") && !strings.Contains(strings.ToLower(raw), `\ufffd`) && strings.Contains(string(again), "\ufffd") {
			t.Errorf("%q became %q with U+FFFD", raw, again)
		}
	})
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	want, err := Canonical([]byte(`{"b":[1.0,1e3,12345678901234567890],"a":"Prüfung <b>"}`))
	if err != nil || string(want) != `{"a":"Prüfung <b>","b":[1.0,1e3,12345678901234567890]}` {
		t.Fatalf("%s, %v", want, err)
	}
	for text, same := range map[string]bool{
		`{ "a" : "Pr\u00fcfung \u003cb\u003e", "b":[ 1.0, 1e3, 12345678901234567890 ] }`: true,
		`{"b":[1,1e3,12345678901234567890],"a":"Prüfung <b>"}`:                           false,
		`{"b":[1.0,1e3,12345678901234567891],"a":"Prüfung <b>"}`:                         false,
		`{"b":[1e3,1.0,12345678901234567890],"a":"Prüfung <b>"}`:                         false,
	} {
		if got, err := Canonical([]byte(text)); err != nil || (string(got) == string(want)) != same {
			t.Errorf("%s became %s, %v; want it the same: %t", text, got, err, same)
		}
	}
}
