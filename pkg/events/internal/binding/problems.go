package binding

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// MaxQuoted bounds what an error quotes of a value, in bytes.
const MaxQuoted = 80

// Problems collects what is wrong with a message or an event, to report all of it at once.
type Problems []string

// Addf adds a problem.
func (p *Problems) Addf(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

// Err returns the problems as one sentence, in an order that does not depend on that of a map, or nil if there are none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	slices.Sort(p)
	return errors.New(strings.Join(slices.Compact(p), "; "))
}

// Quote quotes a value for an error and cuts it if it is long.
func Quote(s string) string {
	if len(s) <= MaxQuoted {
		return fmt.Sprintf("%q", s)
	}
	end := MaxQuoted
	for end > MaxQuoted-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%q…", s[:end])
}

// Printable returns a name for an error, quoted and cut if it is not one that an attribute could have.
func Printable(name string) string {
	strange := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }
	if name == "" || len(name) > MaxQuoted || strings.ContainsFunc(name, strange) {
		return Quote(name)
	}
	return name
}

// Shape names the kind of a JSON value with its article.
func Shape(raw []byte) string {
	raw = bytes.TrimLeft(raw, Blanks)
	if len(raw) == 0 {
		return "empty"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

// Blanks are what JSON allows around a value.
const Blanks = " \t\r\n"

// NotJSON says why bytes are not JSON, or "" if they are. It quotes at most a single character of them.
func NotJSON(raw []byte) string {
	switch {
	case bytes.HasPrefix(raw, []byte("\xef\xbb\xbf")):
		return "begins with a byte order mark, which JSON does not allow"
	case !utf8.Valid(raw):
		return fmt.Sprintf("is not UTF-8 at byte %d", invalidAt(raw))
	case jsontext.Whole(raw), json.Valid(raw):
		return ""
	}
	var ignored json.RawMessage
	if err := json.Unmarshal(raw, &ignored); err != nil {
		return "is no JSON: " + err.Error()
	}
	return ""
}

// invalidAt returns the offset of the first byte that is not UTF-8.
func invalidAt(raw []byte) int {
	for i := 0; i < len(raw); {
		r, size := utf8.DecodeRune(raw[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
	return len(raw)
}
