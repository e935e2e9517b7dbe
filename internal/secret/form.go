package secret

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Errors that say why a text is no secret. None of them quotes it.
var (
	errEmpty = errors.New("the secret is empty")
	errLines = errors.New("the secret has several lines; want one")
)

// clean is the secret in a text: without a byte order mark, which some editors write, and without blanks and line ends
// around it. What is left has to be visible ASCII and blanks. Everything else is in different bytes for different people, and
// some of it no header can hold.
func clean(text []byte) (String, error) {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
	if len(text) == 0 {
		return "", errEmpty
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == '\n' || r == '\r':
			return "", errLines
		case r == 0 || r == utf8.RuneError && size == 1:
			return "", fmt.Errorf("byte %d of the secret is no text in UTF-8; is it UTF-16, or binary?", i+1)
		case r < ' ' || r == 0x7f:
			return "", fmt.Errorf("byte %d of the secret is a control character", i+1)
		case r > 0x7f:
			return "", fmt.Errorf("byte %d of the secret begins a character that is not ASCII, such as ä or a quotation mark of a word processor", i+1)
		}
		i += size
	}
	return String(text), nil
}

// Check says what is wrong with the text of a secret.
func (s String) Check() error {
	_, err := clean([]byte(s))
	return err
}
