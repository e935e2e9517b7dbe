package compare

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/factro-bridge/factro-bridge/internal/filename"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// Plain is a text in the form for comparison: composed and decomposed umlauts are equal, and so are the line ends of all
// systems. Blanks at the ends of lines and around the text are ignored, since it is not known which of them factro keeps.
func Plain(text string) string {
	text = norm.NFC.String(text)
	if strings.ContainsAny(text, "\r\n") {
		lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n"), "\n")
		for i, line := range lines {
			lines[i] = strings.TrimRight(line, " \t\u00a0")
		}
		text = strings.Join(lines, "\n")
	}
	return strings.TrimSpace(text)
}

// Alike compares two values by meaning: instants in any form, numbers by value, texts as Plain does, null in any form.
func Alike(sent, have json.RawMessage) bool {
	a, aText := jsontext.String(string(sent))
	b, bText := jsontext.String(string(have))
	if aText && bText {
		a, b = Plain(a), Plain(b)
		if a == b || strings.TrimSuffix(a, ":00") == b || a == strings.TrimSuffix(b, ":00") { // a clock time with seconds or without
			return true
		}
		x, xTime := instantOf(sent)
		y, yTime := instantOf(have)
		return xTime && yTime && x.Equal(y)
	}
	if empty(sent) || empty(have) {
		return empty(sent) && empty(have)
	}
	return aText == bText && bytes.Equal(plainJSON(sent), plainJSON(have))
}

// plainJSON is a value with its texts and numbers in the form for comparison, inside lists and objects too. A value that
// cannot be read stays as it is.
func plainJSON(raw []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var value any
	if d.Decode(&value) != nil {
		return raw
	}
	out, err := jsontext.Encode(plain(value))
	if err != nil {
		return raw
	}
	return out
}

func plain(value any) any {
	switch v := value.(type) {
	case string:
		return Plain(v)
	case json.Number:
		return plainNumber(v)
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = plain(v[name])
		}
	}
	return value
}

// plainNumber is a number in one form, so that 5, 5.0 and 5e0 are equal. An integer keeps all its digits, since a float
// holds only about the first 15.
func plainNumber(n json.Number) json.Number {
	if !strings.ContainsAny(n.String(), ".eE") {
		return n
	}
	f, err := n.Float64()
	if err != nil {
		return n
	}
	if f == 0 { // also -0
		return "0"
	}
	if text := strconv.FormatFloat(f, 'f', -1, 64); len(text) <= 32 {
		return json.Number(text)
	}
	return json.Number(strconv.FormatFloat(f, 'e', -1, 64))
}

// instantOf reads a time in factro's three forms: an instant, a plain date, or milliseconds.
func instantOf(raw json.RawMessage) (time.Time, bool) {
	if s, isText := jsontext.String(string(raw)); isText {
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if at, err := time.Parse(layout, s); err == nil {
				return at, true
			}
		}
		return time.Time{}, false
	}
	ms, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || ms <= 0 || ms > math.MaxInt64/1e6 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(ms)), true
}

// sameName reports whether a file in a list has the name that it was sent with, as the server may have read it: filename*,
// the ASCII of filename, or UTF-8 that was read as Latin 1.
func sameName(sent, have string) bool {
	sent, have = Plain(sent), Plain(have)
	var latin strings.Builder
	for _, c := range []byte(sent) {
		latin.WriteRune(rune(c))
	}
	return sent == have || Plain(filename.ASCII(sent)) == have || Plain(latin.String()) == have
}
