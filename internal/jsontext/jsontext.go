// Package jsontext reads and writes JSON where encoding/json would change it: lone surrogates and bytes that are no UTF-8 would
// become U+FFFD, so that different values become one; the names of properties would be matched without regard to case; < and >
// would be escaped.
//
// In: JSON, or a part of it. Out: its text or its properties, whether all of its text is Unicode, or a form in which values stay
// different. It imports none of the bridge.
package jsontext

import (
	"strings"
	"unicode/utf8"
)

// Valid says whether the text of a JSON string, with its escapes, stands for valid Unicode.
func Valid(raw string) bool {
	if !utf8.ValidString(raw) {
		return false
	}
	for i := 0; i < len(raw); i++ {
		next := strings.IndexByte(raw[i:], '\\')
		if next < 0 {
			return true
		}
		i += next
		unit := unitAt(raw, i)
		switch {
		case unit < 0: // another escape
			i++
		case unit >= 0xd800 && unit < 0xdc00:
			if low := unitAt(raw, i+escapeSize); low < 0xdc00 || low > 0xdfff {
				return false
			}
			i += 2*escapeSize - 1
		case unit >= 0xdc00 && unit <= 0xdfff:
			return false
		default:
			i += escapeSize - 1
		}
	}
	return true
}

// escapeSize is the length of an escape such as \u00e4.
const escapeSize = 6

// unitAt is the UTF-16 code unit of the escape at i, or -1 if there is none.
func unitAt(raw string, i int) int {
	if len(raw) < i+escapeSize || raw[i] != '\\' || raw[i+1] != 'u' {
		return -1
	}
	unit := 0
	for _, c := range []byte(raw[i+2 : i+escapeSize]) {
		switch {
		case c >= '0' && c <= '9':
			unit = unit<<4 | int(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			unit = unit<<4 | int(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return unit
}

// KeepApart rewrites JSON in which something is no valid text, so that different values stay different when it is decoded:
// what would become U+FFFD is written out behind a code point that no text has. Valid JSON stays as it is.
func KeepApart(raw string) string {
	if Valid(raw) {
		return raw
	}
	const mark = "\uffff"
	var out strings.Builder
	for i := 0; i < len(raw); {
		r, size := utf8.DecodeRuneInString(raw[i:])
		unit := unitAt(raw, i)
		switch {
		case r == utf8.RuneError && size == 1:
			out.WriteString(mark + hexByte(raw[i]))
		case unit >= 0xd800 && unit < 0xdc00 && isLow(unitAt(raw, i+escapeSize)):
			size = 2 * escapeSize
			out.WriteString(raw[i : i+size])
		case unit >= 0xd800 && unit <= 0xdfff:
			size = escapeSize
			out.WriteString(mark + strings.ToLower(raw[i+1:i+size]))
		case raw[i] == '\\' && i+1 < len(raw) && unit < 0:
			size = 2
			out.WriteString(raw[i : i+size])
		default:
			out.WriteString(raw[i : i+size])
		}
		i += size
	}
	return out.String()
}

func isLow(unit int) bool { return unit >= 0xdc00 && unit <= 0xdfff }

func hexByte(b byte) string {
	const digits = "0123456789abcdef"
	return "x" + string([]byte{digits[b>>4], digits[b&15]})
}
