package translate

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// spelled are letters that do not decompose into an ASCII letter.
var spelled = strings.NewReplacer("ß", "ss", "ẞ", "SS", "æ", "ae", "Æ", "AE", "ø", "o", "Ø", "O", "ł", "l", "Ł", "L", "œ", "oe", "Œ", "OE", "–", "-", "—", "-")

// ASCIIName is the name of a file in ASCII, as near as it gets: umlauts lose their dots, and what has no like becomes _.
func ASCIIName(name string) string {
	var out strings.Builder
	for _, r := range norm.NFKD.String(spelled.Replace(name)) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case r > '~' || r < ' ' || r == '/' || r == '\\': // the last two come out of signs that look like them
			out.WriteByte('_')
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// sameName says whether a file is listed by the name that it was sent with, as the server may have read it: by filename* or by
// the ASCII of filename, or by UTF-8 that was taken for Latin 1.
func sameName(sent, have string) bool {
	sent, have = Plain(sent), Plain(have)
	var latin strings.Builder
	for _, c := range []byte(sent) {
		latin.WriteRune(rune(c))
	}
	return sent == have || Plain(ASCIIName(sent)) == have || Plain(latin.String()) == have
}
