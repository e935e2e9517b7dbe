package coreapi

import (
	"fmt"
	"mime/multipart"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// disposition is the header of a part that is a file. Servers read a name that is not ASCII in different ways: many take the
// bytes for Latin 1. So such a name is there twice, as in RFC 6266: by filename* in UTF-8, and by filename in ASCII for those
// that do not know the other. A browser sends the composed form of umlauts, and so do we.
func disposition(name string) string {
	name = norm.NFC.String(name)
	plain := translate.ASCIIName(name)
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
