package events

import (
	"errors"
	"fmt"
)

// ErrTooLarge says that no message can hold an event: the server limits what a message may weigh.
var ErrTooLarge = errors.New("too large for a message")

// EncodeHeader makes a header's value of any text, in the way of the CloudEvents attributes.
func EncodeHeader(s string) string { return escape(s) }

// DecodeHeader gives back what EncodeHeader was given.
func DecodeHeader(s string) (string, error) {
	value, why := unescape(s)
	if why != "" {
		return "", fmt.Errorf("the header's value %s", why)
	}
	return value, nil
}
