package binding

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzMembers holds members against [json.Unmarshal], which keeps the last member of a name.
func FuzzMembers(f *testing.F) {
	f.Add([]byte(` { "a" : 1 , "b":[{"}":"]\\"}],"a\"":"\\" , "c":null,"c":true ,"":-1e3} `))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"a":"\ud800","\u0061":{"b":[]}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var want map[string]json.RawMessage
		err := json.Unmarshal(payload, &want)
		ms, why := members(payload)
		if ok := err == nil && want != nil && utf8.Valid(payload); (why == "") != ok {
			t.Fatalf("got %q, but json.Unmarshal says %v", why, err)
		}
		if why != "" {
			return
		}
		got := map[string][]byte{}
		for _, m := range ms {
			got[m.name] = m.value
		}
		if len(got) != len(want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		for name, value := range want {
			if !bytes.Equal(got[name], value) {
				t.Errorf("%q: got %q, want %q", name, got[name], value)
			}
		}
	})
}

// TestValueEnd: a value ends where the next begins, or with the bytes.
func TestValueEnd(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]int{
		`12`: 2, `12,`: 2, `12 }`: 2, `true]`: 4, `"a"`: 3, `"a\""b`: 5, `"\\"b`: 4, `{}`: 2, `[[1],{"a":"]"}]]`: 15, `{"a":{}}}`: 8, ``: 0,
	} {
		if got := valueEnd([]byte(raw)); got != want {
			t.Errorf("%s: the value has %d bytes, want %d", raw, got, want)
		}
	}
}
