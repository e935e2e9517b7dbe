// Package filename writes the names of files for programs that do not read Unicode.
//
// In: the name of a file. Out: its closest ASCII form, and the header of a part of a multipart body that carries both.
//
// It does not decide which names are allowed.
package filename

import (
	"fmt"
	"mime/multipart"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// spelled are letters that do not decompose into an ASCII letter.
var spelled = strings.NewReplacer("ß", "ss", "ẞ", "SS", "æ", "ae", "Æ", "AE", "ø", "o", "Ø", "O", "ł", "l", "Ł", "L", "œ", "oe", "Œ", "OE", "–", "-", "—", "-")

// ASCII is the closest ASCII form of a file's name: umlauts lose their dots, and characters without an ASCII form
// become _.
func ASCII(name string) string {
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

// Disposition is the header Content-Disposition of a part that is a file. Servers read a name that is not ASCII in different ways: many take the
// bytes for Latin 1. So such a name is there twice, as in RFC 6266: by filename* in UTF-8, and by filename in ASCII for those
// that do not know the other. A browser sends the composed form of umlauts, and so do we.
func Disposition(name string) string {
	name = norm.NFC.String(name)
	plain := ASCII(name)
	header := multipart.FileContentDisposition("file", plain)
	if plain == name && !strings.Contains(name, `"`) {
		return header
	}
	return header + "; filename*=UTF-8''" + extended(name)
}

// extended is a text as RFC 8187 writes it.
func extended(text string) string {
	var out strings.Builder
	for _, c := range []byte(text) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$&+-.^_`|~", c) >= 0 {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}
