package jsontext

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

// scanned are texts that the quick way takes, and such as it must not take.
var scanned = []string{
	`{}`, ` { } `, `{"b":[1.0,-0,1e+3,0.5E-7],"a":"Prüfung <b>"}`, `{"a":1,"a":{"c":[],"b":null}}`, `{"a":"\u00e4\/\n\"","ä":true, "c" : [ 1 , "x y" ]}`,
	`{"a":"` + "\u2028\x7f" + `","` + "\u2029" + `":1}`, `{"\u0061":1,"a":2}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", "{\"\xff\":1}", `"a"`, ` 5 `, `null`, ` true`,
	`{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1`, `{"a":1}x`, `{"a":1} {}`, `[1,]`, `[,1]`, `[1 2]`, `[}`, `{]`, `01`, `-`, `-a`, `1.`, `.5`, `1e`, `1e+`, `+1`,
	`"`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`, "\"a\nb\"", "", " ", `tru`, `nulll`, `{"a":nul}`, `{"a":tru}`, `{1:2}`, "\xef\xbb\xbf{}",
	strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), strings.Repeat("[", 100) + strings.Repeat("]", 100),
	strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70), `"a"b"`, `"ä"ö"`,
}

// FuzzScan holds that the quick way takes only what encoding/json takes, and that it changes nothing.
func FuzzScan(f *testing.F) {
	for _, raw := range scanned {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		checkScan(t, raw)
		if !bytes.Equal(raw, before) {
			t.Errorf("%q became %q", before, raw)
		}
	})
}

func checkScan(t *testing.T, raw []byte) {
	t.Helper()
	if quick := Whole(raw); quick != json.Valid(raw) && (quick || bytes.Count(raw, []byte("["))+bytes.Count(raw, []byte("{")) < maxDepth) {
		t.Errorf("%q is JSON by the quick way: %t", raw, quick)
	}
	fields, err := Object(raw)
	want, wantErr := objectByValue(raw)
	if (err == nil) != (wantErr == nil) || !maps.EqualFunc(fields, want, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
		t.Errorf("%q has %s, %v, want %s, %v", raw, fields, err, want, wantErr)
	}
	got, err := Canonical(raw)
	slow, wantErr := canonicalByValue(raw)
	if (err == nil) != (wantErr == nil) || !bytes.Equal(got, slow) {
		t.Errorf("%q becomes %q, %v, want %q, %v", raw, got, err, slow, wantErr)
	}
	if fields == nil {
		return
	}
	if got, err = Encode(fields); err != nil {
		t.Fatal(err)
	}
	if slow, err = encodeByValue(fields); err != nil || !bytes.Equal(got, slow) {
		t.Errorf("%q is encoded as %q, want %q, %v", raw, got, slow, err)
	}
}

// TestScan: what is usual takes the quick way, and what is not JSON, or means something else there, does not.
func TestScan(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]int{
		`{}`: 0, ` { "a" : [ 1 , {} ] , "ä":"\u00e4" } `: 2, `{"a":1,"a":2}`: 2, `{"\u0061":1}`: none, "{\"\xff\":1}": none, `[1]`: none,
		`{"a":1,}`: none, `{,"a":1}`: none, `{"a":1}}`: none, `{"a":01}`: none, `{"a":1 "b":2}`: none, `{`: none, "": none,
	} {
		if all, ok := Members([]byte(raw), nil); ok != (want != none) || ok && len(all) != want {
			t.Errorf("%s has %v, %t", raw, all, ok)
		}
	}
	all, ok := Members([]byte(` {"Action" : "<a>" ,"action":[1, 2]}`), nil)
	if !ok || len(all) != 2 || all[0].Name != "Action" || string(all[0].Value) != `"<a>"` || string(all[1].Value) != "[1, 2]" {
		t.Errorf("got %v, %t", all, ok)
	}
	if got := append(all[0].Value, 'x'); string(all[1].Value) != "[1, 2]" || len(got) != 6 {
		t.Error("an appended byte lands behind the value")
	}
	for _, fields := range []map[string]json.RawMessage{{"a": nil}, {"\xff": json.RawMessage("1")}, {"\n": json.RawMessage(" [ 1 ]")}, {"a": json.RawMessage("{")}, nil, {}} {
		got, err := Encode(fields)
		want, wantErr := encodeByValue(fields)
		if !bytes.Equal(got, want) || (err == nil) != (wantErr == nil) {
			t.Errorf("%q is encoded as %q, %v, want %q, %v", fields, got, err, want, wantErr)
		}
	}
}
