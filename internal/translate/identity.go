package translate

import (
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Ids, actions and what is compared have to be valid text. encoding/json makes U+FFFD of every lone surrogate and of every
// byte that is no UTF-8, so that different ids would become one.

// isText says whether the text of a JSON string, with its escapes, stands for valid Unicode.
func isText(raw string) bool {
	if !utf8.ValidString(raw) {
		return false
	}
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
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

// identifier is the value of an id: the text of a string, or the digits of a number as they are written. A large number
// would lose digits if it were read as one.
func identifier(raw string) (string, bool) {
	if isNumber(raw) {
		return raw, true
	}
	return text(raw)
}

func isNumber(raw string) bool {
	return len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9')
}

// untextSpace is the name space of the ids that stand for ids that are no valid text.
var untextSpace = uuid.MustParse("0f6d3f0a-7e0c-5a53-8f0e-6a8f3c1d9b47")

// untextID stands for an id that is no valid text: the same one for the same JSON.
func untextID(raw string) string { return uuid.NewSHA1(untextSpace, []byte(raw)).String() }

// keepApart rewrites JSON in which something is no valid text, so that different values stay different when it is decoded:
// what would become U+FFFD is written out behind a code point that no text has. Valid JSON stays as it is.
func keepApart(raw string) string {
	if isText(raw) {
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
