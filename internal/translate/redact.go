package translate

import (
	"bufio"
	"bytes"
	"io"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// secretKey is the property of factro's stored webhooks that holds the secret in clear text.
const secretKey = "authenticationHeaderValue"

// Redact copies JSON byte by byte, but replaces the secrets of webhooks by null. factro shows them to whoever may read its
// stored payloads; on the broker every subscriber would see them. It does not buffer the JSON, so it may be of any length.
func Redact(r io.Reader) io.Reader { return &redactor{in: bufio.NewReader(r)} }

type redactor struct {
	in  *bufio.Reader
	out bytes.Buffer // ready to be read
	err error        // what in ended with

	inText, escaped bool
	name            []byte // the current string, as long as it may be the name
}

// maxName is how much of a string is kept: the length of the name with every letter escaped, quotes included.
const maxName = 6*len(secretKey) + 2

func (r *redactor) Read(p []byte) (int, error) {
	for r.err == nil && r.out.Len() < len(p) {
		r.err = r.step()
	}
	if r.out.Len() == 0 {
		return 0, r.err
	}
	return r.out.Read(p)
}

// step copies one byte, or the value after the secret's name.
func (r *redactor) step() error {
	c, err := r.in.ReadByte()
	if err != nil {
		return err
	}
	r.out.WriteByte(c)
	if !r.inText {
		if c == '"' {
			r.inText, r.escaped, r.name = true, false, append(r.name[:0], c)
		}
		return nil
	}
	if len(r.name) <= maxName {
		r.name = append(r.name, c)
	}
	switch {
	case r.escaped:
		r.escaped = false
	case c == '\\':
		r.escaped = true
	case c == '"':
		r.inText = false
		if text, ok := jsontext.String(string(r.name)); ok && len(r.name) <= maxName && text == secretKey {
			return r.value()
		}
	}
	return nil
}

// value copies what is between a name and its value, and writes null for the value. After a string that is not a name there
// is no colon.
func (r *redactor) value() error {
	colon := false
	for {
		c, err := r.in.ReadByte()
		switch {
		case err != nil:
			return err
		case c == ':' && !colon:
			colon = true
			r.out.WriteByte(c)
		case c == ' ', c == '\t', c == '\r', c == '\n':
			r.out.WriteByte(c)
		default:
			if err := r.in.UnreadByte(); err != nil || !colon {
				return err
			}
			r.out.WriteString("null")
			return r.skip()
		}
	}
}

// skip reads a value and drops it.
func (r *redactor) skip() error {
	depth, inText, escaped := 0, false, false
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return err
		}
		switch {
		case escaped:
			escaped = false
		case inText && c == '\\':
			escaped = true
		case c == '"':
			inText = !inText
			if !inText && depth == 0 {
				return nil
			}
		case inText:
		case c == '{', c == '[':
			depth++
		case depth == 0 && (c == '}' || c == ']' || c == ','): // after a number or a word; not part of the value
			return r.in.UnreadByte()
		case c == '}', c == ']':
			if depth--; depth == 0 {
				return nil
			}
		}
	}
}
