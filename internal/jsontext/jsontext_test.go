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

func TestString(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`""`: "", `"a"`: "a", `"Prüfung"`: "Prüfung", `"Pr\u00fcfung"`: "Prüfung", `"a\"b"`: `a"b`, `"\ud83d\ude00"`: "😀",
	} {
		if got, ok := String(raw); !ok || got != want {
			t.Errorf("%s: got %q, %v, want %q", raw, got, ok, want)
		}
	}
	for _, raw := range []string{"", `"`, "5", "null", `{"a":1}`, `"\ud800"`, "\"\xff\"", "\"a\nb\"", `"\x"`} {
		if got, ok := String(raw); ok {
			t.Errorf("%s: is taken for %q", raw, got)
		}
	}
}

func TestObject(t *testing.T) {
	t.Parallel()
	fields, err := Object([]byte(` {"Action":1,"action":"<a>"}`))
	if err != nil || string(fields["action"]) != `"<a>"` || len(fields) != 2 {
		t.Errorf("got %s, %v", fields, err)
	}
	for raw, want := range map[string]string{
		"": "not JSON: ", "{": "not JSON: ", "\xef\xbb\xbf{}": "not JSON: ", `{"a":1}x`: "not JSON: ", "null": "not a JSON object but null",
		" [1]": "not a JSON object but an array", `"a"`: "not a JSON object but a string", "5": "not a JSON object but a number",
		"-5": "not a JSON object but a number", "\ttrue": "not a JSON object but a boolean",
	} {
		if fields, err := Object([]byte(raw)); err == nil || fields != nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %s, %v, want %s", raw, fields, err, want)
		}
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	out, err := Encode(map[string]json.RawMessage{"b": json.RawMessage(`1.0`), "a": json.RawMessage(`"<&>"`)})
	if err != nil || string(out) != `{"a":"<&>","b":1.0}` {
		t.Errorf("got %s, %v", out, err)
	}
	if out, err := Encode(json.RawMessage("{")); err == nil {
		t.Errorf("half an object became %s", out)
	}
}
