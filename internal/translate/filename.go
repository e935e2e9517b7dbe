package translate

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// spelled are letters that do not decompose into an ASCII letter.
var spelled = strings.NewReplacer("ß", "ss", "ẞ", "SS", "æ", "ae", "Æ", "AE", "ø", "o", "Ø", "O", "ł", "l", "Ł", "L", "œ", "oe", "Œ", "OE", "–", "-", "—", "-")

// ASCIIName is the closest ASCII form of a file's name: umlauts lose their dots, and characters without an ASCII form
// become _.
func ASCIIName(name string) string {
	var out strings.Builder
	for _, r := range norm.NFKD.String(spelled.Replace(name)) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case r > '~' || r < ' ' || r == '/' || r == '\\': // the last two can result from characters that look like them
			out.WriteByte('_')
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// sameName reports whether a file in a list has the name that it was sent with, as the server may have read it: filename*,
// the ASCII of filename, or UTF-8 that was read as Latin 1.
func sameName(sent, have string) bool {
	sent, have = Plain(sent), Plain(have)
	var latin strings.Builder
	for _, c := range []byte(sent) {
		latin.WriteRune(rune(c))
	}
	return sent == have || Plain(ASCIIName(sent)) == have || Plain(latin.String()) == have
}
