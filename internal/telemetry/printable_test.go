package telemetry

import (
	"bytes"
	"encoding/json"
	"testing"
)

// TestPrintable: what moves a cursor, turns the text or begins a line is written as an escape; JSON keeps its meaning,
// however it is cut.
func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain\ttext\n":                 "plain\ttext\n",
		"Größe 5 € \U0001f600":          "Größe 5 € \U0001f600",
		"\x1b[31mred\x07\x00\x7f\r":     `\u001b[31mred\u0007\u0000\u007f\u000d`,
		"a\u0085b\u009b31m":             `a\u0085b\u009b31m`,
		"\u202eevil\u2066\u200f\u2028x": `\u202eevil\u2066\u200f\u2028x`,
		"\U000e0041":                    `\udb40\udc41`,
		"no\xff":                        "no\ufffd",
	} {
		for step := 1; step <= len(text); step++ {
			var out bytes.Buffer
			w := Printable(&out)
			for rest := []byte(text); len(rest) > 0; {
				n := min(step, len(rest))
				if written, err := w.Write(rest[:n]); err != nil || written != n {
					t.Fatalf("%d written, %v", written, err)
				}
				rest = rest[n:]
			}
			if out.String() != want {
				t.Errorf("%q by %d became %q, want %q", text, step, out.String(), want)
			}
		}
	}
	var out bytes.Buffer
	const doc = "{\"a\":\"\u202e\u009b\U000e0041\"}"
	if _, err := Printable(&out).Write([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	var before, after map[string]string
	if err := json.Unmarshal(out.Bytes(), &after); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(doc), &before); err != nil || before["a"] != after["a"] {
		t.Errorf("%q became %q: %v", before, after, err)
	}
}
