package secret

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrForm is wrapped by the errors for a text that cannot be a secret. None of them quotes the text.
var ErrForm = errors.New("it is no secret")

var errEmpty = errors.New("the secret is empty")

// clean is the secret in a text: without a byte order mark, which some editors write, and without blanks and line ends
// around it. The rest has to be visible ASCII and blanks. Other characters have different bytes in different encodings, and
// a header cannot hold some of them.
func clean(text []byte) (String, error) {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
	if len(text) == 0 {
		return "", errEmpty
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == '\n' || r == '\r':
			return "", fmt.Errorf("%w: it has several lines; want one", ErrForm)
		case r == 0 || r == utf8.RuneError && size == 1:
			return "", fmt.Errorf("%w: byte %d is not valid UTF-8; is it UTF-16, or binary?", ErrForm, i+1)
		case r < ' ' || r == 0x7f:
			return "", fmt.Errorf("%w: byte %d is a control character", ErrForm, i+1)
		case r > 0x7f:
			return "", fmt.Errorf("%w: byte %d begins a character that is not ASCII, such as ä or a quotation mark of a word processor", ErrForm, i+1)
		}
		i += size
	}
	return String(text), nil
}

// Check returns an error for a text that cannot be a secret.
func (s String) Check() error {
	_, err := clean([]byte(s))
	return err
}
