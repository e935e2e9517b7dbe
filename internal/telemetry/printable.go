package telemetry

import (
	"fmt"
	"io"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Printable returns a writer that passes text on, with unprintable characters as JSON escapes, such as \u202e: in a
// terminal they could move the cursor, change the direction of the text or start a line. JSON keeps its meaning. Tabs and
// line ends stay; invalid UTF-8 becomes U+FFFD.
func Printable(w io.Writer) io.Writer { return &printable{w: w} }

type printable struct {
	w    io.Writer
	rest []byte // the beginning of a character that is not complete yet
}

func (p *printable) Write(text []byte) (int, error) {
	if len(p.rest) == 0 && plain(text) {
		return p.w.Write(text) //nolint:wrapcheck // it only passes on
	}
	raw := text
	if len(p.rest) > 0 {
		raw = append(p.rest, text...)
	}
	out := make([]byte, 0, len(raw)+16)
	for len(raw) > 0 && (utf8.FullRune(raw) || len(raw) >= utf8.UTFMax) {
		r, size := utf8.DecodeRune(raw)
		raw = raw[size:]
		switch {
		case r == '\n', r == '\t', strconv.IsPrint(r), unicode.Is(unicode.Zs, r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	p.rest = append([]byte(nil), raw...)
	if _, err := p.w.Write(out); err != nil {
		return 0, err
	}
	return len(text), nil
}

// plain tells whether a text is printable ASCII, as most are.
func plain(text []byte) bool {
	for _, c := range text {
		if (c < ' ' || c > '~') && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}
