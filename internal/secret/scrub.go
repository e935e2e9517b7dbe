package secret

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"slices"
	"strconv"
	"strings"
)

// minScrubbed is the shortest secret that a Scrubber looks for. A shorter one would occur in ordinary text.
const minScrubbed = 8

// Scrubber removes secrets from text of other programs: as they are and in every usual encoding. These are escapes of JSON
// and HTML and percent-encoding of single characters, and base64 and hex of the whole, anywhere in a longer encoded text.
// JSON stays valid. The zero value removes nothing.
type Scrubber struct {
	patterns []pattern
	first    [256][]pattern // by their first byte
}

// pattern is one form of a secret.
type pattern struct {
	text    string
	fold    bool // ignores case
	wrapped bool // may contain line ends
	escapes bool // contains characters that begin an escape
}

// NewScrubber returns a scrubber for secrets.
func NewScrubber(secrets ...String) *Scrubber {
	s := &Scrubber{}
	for _, v := range secrets {
		text := v.Reveal()
		if len(text) < minScrubbed {
			continue
		}
		s.add(pattern{text: text, escapes: strings.ContainsAny(text, `\%&`)})
		s.add(pattern{text: hex.EncodeToString([]byte(text)), fold: true, wrapped: true})
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			for before := range 3 {
				s.add(pattern{text: inBase64(enc, text, before), wrapped: true})
			}
		}
	}
	return s
}

// inBase64 is a text in base64 after a number of other bytes, without the characters that it shares with its neighbours.
func inBase64(enc *base64.Encoding, text string, before int) string {
	all := enc.EncodeToString([]byte(strings.Repeat("\x00", before) + text))
	begin, end := (before*8+5)/6, len(all)
	if (before+len(text))%3 != 0 {
		end--
	}
	return all[begin:end]
}

func (s *Scrubber) add(p pattern) {
	if slices.Contains(s.patterns, p) {
		return
	}
	s.patterns = append(s.patterns, p)
	s.first[p.text[0]] = append(s.first[p.text[0]], p)
	if upper := strings.ToUpper(p.text[:1])[0]; p.fold && upper != p.text[0] {
		s.first[upper] = append(s.first[upper], p)
	}
}

// Text returns a text without the secrets.
func (s *Scrubber) Text(text string) string {
	if s == nil || len(s.patterns) == 0 {
		return text
	}
	var room [128]byte
	out, _ := s.scrub(room[:0], []byte(text), true)
	if string(out) == text {
		return text
	}
	return string(out)
}

// Reader returns a stream without the secrets. It buffers no more than the longest possible match.
func (s *Scrubber) Reader(r io.Reader) io.Reader {
	if s == nil || len(s.patterns) == 0 {
		return r
	}
	return &scrubbed{s: s, r: r}
}

type scrubbed struct {
	s         *Scrubber
	r         io.Reader
	raw, done []byte // not searched yet, and ready to be read
	out       []byte // the memory of done
	err       error
	part      int  // how much is read at once
	full      bool // that much was there
}

// Sizes of the parts that are read: most texts are small.
const firstPart, maxPart = 1 << 10, 8 << 10

func (s *scrubbed) Read(p []byte) (int, error) {
	for len(s.done) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		if cap(s.raw)-len(s.raw) < firstPart/2 || s.full {
			s.part = min(max(2*s.part, firstPart), maxPart)
			s.raw = slices.Grow(s.raw, s.part)
		}
		room := s.raw[len(s.raw):cap(s.raw)]
		n, err := s.r.Read(room)
		s.raw, s.err, s.full = s.raw[:len(s.raw)+n], err, n == len(room)
		var used int
		s.out, used = s.s.scrub(s.out[:0], s.raw, err != nil)
		s.done, s.raw = s.out, append(s.raw[:0], s.raw[used:]...)
	}
	n := copy(p, s.done)
	s.done = s.done[n:]
	return n, nil
}

// scrub appends text to out without the secrets, up to where the result is certain. used is the length of that part of the
// text; with last it is all of it.
func (s *Scrubber) scrub(out, text []byte, last bool) (_ []byte, used int) {
	for i := 0; i < len(text); {
		begin := i
		for i < len(text) && len(s.first[text[i]]) == 0 && !isEscape(text[i]) {
			i++
		}
		if out = append(out, text[begin:i]...); i == len(text) {
			break
		}
		n, more := s.match(text[i:], last)
		if more {
			return out, i
		}
		if n > 0 {
			out = append(out, replacement(text[i:i+n])...)
			i += n
			continue
		}
		n = 1
		if text[i] == '\\' { // an escape stays whole, so that what follows keeps its meaning
			_, n, _ = unit(text[i:], last)
		}
		out = append(out, text[i:i+n]...)
		i += n
	}
	return out, len(text)
}

// replacement is what replaces a secret: a marker in a text, and a digit in a JSON number.
func replacement(found []byte) string {
	if strings.Trim(string(found), "0123456789+-.eE") == "" {
		return "1"
	}
	return hidden
}

// match returns the length of the secret at the beginning of a text, or 0; more means that it depends on the text to come.
func (s *Scrubber) match(text []byte, last bool) (n int, more bool) {
	try := func(patterns []pattern, from int, escaped bool) {
		for _, p := range patterns {
			length, unsure := p.match(text[from:], last, escaped)
			if length > 0 {
				n = max(n, from+length)
			}
			more = more || unsure
			if escaped && p.escapes {
				length, unsure = p.match(text[from:], last, false)
				n, more = max(n, length), more || unsure
			}
		}
	}
	c := text[0]
	if !isEscape(c) {
		try(s.first[c], 0, true)
		return n, more && n == 0
	}
	decoded, _, unsure := unit(text, last)
	if unsure {
		return 0, true
	}
	try(s.first[decoded], 0, true)
	if decoded != c {
		try(s.first[c], 0, false)
	}
	// A backslash before the secret may not be an escape. Replacing it too leaves valid text in both cases.
	if c == '\\' && len(text) > 1 {
		try(s.first[text[1]], 1, false)
	}
	return n, more && n == 0
}

// maxWrap is how many characters of a line end may be between two others.
const maxWrap = 4

func (p pattern) match(text []byte, last, escaped bool) (n int, more bool) {
	wraps := 0
	for i := 0; i < len(p.text); {
		if n >= len(text) {
			return 0, !last
		}
		c, size := text[n], 1
		if escaped && isEscape(c) {
			var unsure bool
			if c, size, unsure = unit(text[n:], last); unsure {
				return 0, true
			}
		}
		switch want := p.text[i]; {
		case c == want, p.fold && c|0x20 == want:
			i, wraps = i+1, 0
		case p.wrapped && i > 0 && (c == '\r' || c == '\n') && wraps < maxWrap:
			wraps++
		default:
			return 0, false
		}
		n += size
	}
	return n, false
}

func isEscape(c byte) bool { return c == '\\' || c == '%' || c == '&' }

// longest is the length of the longest escape that unit knows.
const longest = len("&#x00000041;")

var (
	inJSON = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}
	inHTML = map[string]byte{"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\''}
)

// unit reads a character that may be escaped. more means that the escape may continue after the text.
func unit(text []byte, last bool) (c byte, size int, more bool) {
	need := 1
	switch {
	case text[0] == '\\' && len(text) > 1 && text[1] == 'u':
		need = 6
	case text[0] == '\\':
		need = 2
	case text[0] == '%':
		need = 3
	case text[0] == '&':
		need = longest
	}
	short := len(text) < need && !last
	text = text[:min(len(text), need)]
	switch text[0] {
	case '\\':
		if len(text) == 6 {
			if v, err := strconv.ParseUint(string(text[2:]), 16, 8); err == nil {
				return byte(v), 6, false
			}
			if _, err := strconv.ParseUint(string(text[2:]), 16, 16); err == nil {
				return 0, 6, false
			}
		}
		if len(text) == 2 {
			if v, known := inJSON[text[1]]; known {
				return v, 2, false
			}
		}
	case '%':
		if len(text) == 3 {
			if v, err := strconv.ParseUint(string(text[1:]), 16, 8); err == nil {
				return byte(v), 3, false
			}
		}
	case '&':
		if name, _, whole := strings.Cut(string(text[1:]), ";"); whole {
			if v, known := entity(name); known {
				return v, len(name) + 2, false
			}
			return '&', 1, false
		}
	}
	return text[0], 1, short
}

// entity is the character of an HTML entity, given without its delimiters.
func entity(name string) (byte, bool) {
	if v, known := inHTML[name]; known {
		return v, true
	}
	number, isNumber := strings.CutPrefix(name, "#")
	if !isNumber {
		return 0, false
	}
	base := 10
	if digits := strings.TrimLeft(number, "xX"); len(digits) == len(number)-1 {
		number, base = digits, 16
	}
	v, err := strconv.ParseUint(number, base, 8)
	return byte(v), err == nil
}
