// Package percent encodes values for the headers of NATS messages, as the NATS protocol binding of CloudEvents encodes
// attributes. Text goes in, printable ASCII without blanks, quotes and bare percent signs comes out, and back again. It
// knows no message.
package percent

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Encode percent-encodes what may not stand in a header as it is: blanks, double quotes, percent signs, and every byte
// outside of the printable ASCII characters.
func Encode(s string) string {
	n := 0
	for i := range len(s) {
		if mustEscape(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(s) + 2*n)
	for i := range len(s) {
		if c := s[i]; mustEscape(c) {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&0xf])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func mustEscape(c byte) bool { return c <= ' ' || c > '~' || c == '"' || c == '%' }

// Decode undoes [Encode]. The error says what is wrong, to follow the name of the value. Decode first takes off double quotes and
// backslashes, which older senders write, and then does one round of percent-decoding. Characters that should have been
// encoded but were not are taken as they are, if they are UTF-8. Blanks around a value belong to the header, not to it.
func Decode(s string) (string, error) {
	s = strings.Trim(s, " \t")
	if strings.HasPrefix(s, `"`) {
		var err error
		if s, err = unquote(s); err != nil {
			return "", err
		}
	}
	if i := strings.IndexByte(s, '%'); i >= 0 {
		var b strings.Builder
		b.Grow(len(s))
		for i := 0; i < len(s); i++ {
			if s[i] != '%' {
				b.WriteByte(s[i])
				continue
			}
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return "", fmt.Errorf("has the broken escape %q, want %% and two hex digits (a percent sign is %%25)",
					s[i:min(i+3, len(s))])
			}
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		}
		s = b.String()
	}
	if !utf8.ValidString(s) {
		return "", errors.New("is not UTF-8")
	}
	return s, nil
}

// unquote returns what stands in a pair of double quotes. A backslash makes the next character stand for itself.
func unquote(s string) (string, error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			if i != len(s)-1 {
				return "", errors.New("goes on after its closing quote")
			}
			return b.String(), nil
		case '\\':
			i++
			if i == len(s) {
				return "", errors.New("has no closing quote")
			}
		}
		b.WriteByte(s[i])
	}
	return "", errors.New("has no closing quote")
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}
