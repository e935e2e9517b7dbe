package jsontext

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// The functions of this file read JSON in one pass and without reflection. They are strict: what they take is JSON for
// encoding/json too, and means the same. They need not take all of it. What is rare goes to encoding/json, which also has the
// words for what is wrong.

// maxDepth is how deep a value may be nested for the quick way.
const maxDepth = 64

// none is the place behind a value that is no JSON, or is nested too deep.
const none = -1

// Member is a property of an object as it is written.
type Member struct {
	Name  string
	Value json.RawMessage // a part of the text
}

// Members appends the properties of a JSON object in their order. It is not ok if the text is no object, or is for encoding/json:
// with an escape in a name, say.
func Members(raw []byte, into []Member) (_ []Member, ok bool) {
	text := string(raw) // the names are parts of it
	i := blanks(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return into, false
	}
	for i = blanks(raw, i+1); i < len(raw) && raw[i] != '}'; {
		end := skipString(raw, i)
		if end == none || !plainName(text[i+1:end-1]) {
			return into, false
		}
		m := Member{Name: text[i+1 : end-1]}
		if i = blanks(raw, end); i >= len(raw) || raw[i] != ':' {
			return into, false
		}
		i = blanks(raw, i+1)
		if end = skip(raw, i, 1); end == none {
			return into, false
		}
		m.Value = raw[i:end:end]
		into = append(into, m)
		switch i = blanks(raw, end); {
		case i >= len(raw):
			return into, false
		case raw[i] == ',':
			if i = blanks(raw, i+1); i >= len(raw) || raw[i] != '"' {
				return into, false
			}
		case raw[i] != '}':
			return into, false
		}
	}
	return into, i < len(raw) && blanks(raw, i+1) == len(raw)
}

// plainName says whether the name of a property is written as it is.
func plainName(name string) bool { return strings.IndexByte(name, '\\') < 0 && utf8.ValidString(name) }

// Whole says whether a text is JSON for sure. If not, encoding/json has to say.
func Whole(raw []byte) bool {
	end := skip(raw, blanks(raw, 0), 0)
	return end != none && blanks(raw, end) == len(raw)
}

// blanks returns the place of the next character that is no blank.
func blanks(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r') {
		i++
	}
	return i
}

// skip returns the place behind the value at i.
func skip(text []byte, i, depth int) int {
	if i >= len(text) || depth > maxDepth {
		return none
	}
	switch text[i] {
	case '"':
		return skipString(text, i)
	case '{', '[':
		return skipInside(text, i, depth)
	case 't':
		return skipWord(text, i, "true")
	case 'f':
		return skipWord(text, i, "false")
	case 'n':
		return skipWord(text, i, "null")
	}
	return skipNumber(text, i)
}

// skipInside returns the place behind the object or array at i.
func skipInside(text []byte, i, depth int) int {
	object := text[i] == '{'
	last := text[i] + 2 // } or ]
	if i = blanks(text, i+1); i < len(text) && text[i] == last {
		return i + 1
	}
	for {
		if object {
			if i = skipString(text, i); i == none {
				return none
			}
			if i = blanks(text, i); i >= len(text) || text[i] != ':' {
				return none
			}
			i = blanks(text, i+1)
		}
		if i = skip(text, i, depth+1); i == none {
			return none
		}
		switch i = blanks(text, i); {
		case i >= len(text):
			return none
		case text[i] == last:
			return i + 1
		case text[i] != ',':
			return none
		}
		i = blanks(text, i+1)
	}
}

func skipString(text []byte, i int) int {
	if i >= len(text) || text[i] != '"' {
		return none
	}
	for i++; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return none
		case c != '\\':
		case i+1 < len(text) && text[i+1] == 'u':
			if i+escapeSize > len(text) || unitAt(string(text[i:i+escapeSize]), 0) < 0 {
				return none
			}
			i += escapeSize - 1
		case i+1 < len(text) && strings.IndexByte(`"\/bfnrt`, text[i+1]) >= 0:
			i++
		default:
			return none
		}
	}
	return none
}

func skipWord(text []byte, i int, word string) int {
	if len(text) < i+len(word) || string(text[i:i+len(word)]) != word {
		return none
	}
	return i + len(word)
}

func skipNumber(text []byte, i int) int {
	if text[i] == '-' {
		i++
	}
	first := i
	if i = digits(text, i); i == first || text[first] == '0' && i > first+1 {
		return none
	}
	if i < len(text) && text[i] == '.' {
		first = i + 1
		if i = digits(text, first); i == first {
			return none
		}
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		if i++; i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		first = i
		if i = digits(text, first); i == first {
			return none
		}
	}
	return i
}

func digits(text []byte, i int) int {
	for i < len(text) && text[i] >= '0' && text[i] <= '9' {
		i++
	}
	return i
}

// appendCompact appends JSON without the blanks between its parts.
func appendCompact(out, raw []byte) []byte {
	for i := 0; i < len(raw); {
		switch raw[i] {
		case ' ', '\n', '\t', '\r':
			i++
		case '"':
			end := skipString(raw, i)
			out = append(out, raw[i:end]...)
			i = end
		default:
			out = append(out, raw[i])
			i++
		}
	}
	return out
}

// appendObject appends an object with sorted names, as encoding/json would write it. It is not ok if that has to do it.
func appendObject(out []byte, fields map[string]json.RawMessage) (_ []byte, ok bool) {
	var room [32]string
	names := room[:0]
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	out = append(out, '{')
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		if out, ok = appendPlain(out, name); !ok || !utf8.ValidString(name) || !Whole(fields[name]) {
			return nil, false
		}
		out = append(out, ':')
		out = appendCompact(out, fields[name])
	}
	return append(out, '}'), true
}

// appendPlain appends a text, which is UTF-8, as a JSON string if it needs no escape.
func appendPlain[T string | []byte](out []byte, text T) (_ []byte, ok bool) {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ', c == '"', c == '\\':
			return out, false
		case c == 0xe2 && len(text) > i+2 && text[i+1] == 0x80 && text[i+2]&^1 == 0xa8: // U+2028 and U+2029
			return out, false
		}
	}
	out = append(out, '"')
	out = append(out, text...)
	return append(out, '"'), true
}

// appendCanonical appends the canonical form of a value that is JSON and valid text. It is not ok if encoding/json has to do it.
func appendCanonical(out, value []byte) (_ []byte, ok bool) {
	switch value[0] {
	case '"':
		return appendCanonicalString(out, value)
	case '{':
		return appendCanonicalObject(out, value)
	case '[':
		out = append(out, '[')
		for i := blanks(value, 1); value[i] != ']'; {
			end := skip(value, i, 0)
			if out, ok = appendCanonical(out, value[i:end]); !ok {
				return out, false
			}
			if i = blanks(value, end); value[i] == ',' {
				out = append(out, ',')
				i = blanks(value, i+1)
			}
		}
		return append(out, ']'), true
	}
	return append(out, value...), true
}

func appendCanonicalString(out, value []byte) (_ []byte, ok bool) {
	if out, ok = appendPlain(out, value[1:len(value)-1]); ok {
		return out, true
	}
	var text string
	if json.Unmarshal(value, &text) != nil {
		return out, false
	}
	encoded, err := Encode(text)
	return append(out, encoded...), err == nil
}

func appendCanonicalObject(out, value []byte) (_ []byte, ok bool) {
	var room [16]Member
	all, ok := Members(value, room[:0])
	if !ok {
		return out, false
	}
	slices.SortStableFunc(all, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	out = append(out, '{')
	first := true
	for i, m := range all {
		if i+1 < len(all) && all[i+1].Name == m.Name { // the last one counts
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		if out, ok = appendPlain(out, m.Name); !ok {
			return out, false
		}
		out = append(out, ':')
		if out, ok = appendCanonical(out, m.Value); !ok {
			return out, false
		}
	}
	return append(out, '}'), true
}
