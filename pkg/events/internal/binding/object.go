package binding

import (
	"bytes"
	"encoding/json"
)

// member is a member of a JSON object. Its value is a part of the bytes that were read.
type member struct {
	name  string
	value []byte
}

// members splits a JSON object into its members, in their order and with those of the same name, of which
// [json.Unmarshal] would only keep the last; or it says why it cannot.
func members(payload []byte) (ms []member, why string) {
	if why := NotJSON(payload); why != "" {
		return nil, why
	}
	if s := Shape(payload); s != "an object" {
		return nil, "is " + s + ", want an object"
	}
	// What follows may rely on the syntax, which is proven.
	rest := bytes.TrimLeft(payload, Blanks)[1:]
	for {
		rest = bytes.TrimLeft(rest, Blanks+",")
		if rest[0] == '}' {
			return ms, ""
		}
		end := valueEnd(rest)
		m := member{name: text(rest[:end])}
		rest = bytes.TrimLeft(rest[end:], Blanks+":")
		end = valueEnd(rest)
		m.value, rest = rest[:end:end], rest[end:]
		ms = append(ms, m)
	}
}

// valueEnd returns the length of the JSON value that raw begins with.
func valueEnd(raw []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
			if !quoted && depth == 0 {
				return i + 1
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case depth > 0 && (c == '}' || c == ']'):
			depth--
			if depth == 0 {
				return i + 1
			}
		case depth == 0 && bytes.IndexByte([]byte(Blanks+",:}]"), c) >= 0: // behind a number or a word
			return i
		}
	}
	return len(raw)
}

// text returns the value of a JSON string.
func text(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		panic(err) // the syntax is proven
	}
	return s
}
