// Package subject splits subjects into tokens, and tells what can be a token.
//
// In: names and subjects from anywhere. Out: tokens that are safe in a subject. It knows none of the contract's subjects.
package subject

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Unnamed is the token in place of a name that can be no token.
const Unnamed = "_"

// IsToken says whether a name can be a token as it is: it has 1 to 128 bytes of [A-Za-z0-9_-].
func IsToken(s string) bool {
	if len(s) < 1 || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// Token returns s if it can be a token, else [Unnamed].
func Token(s string) string {
	if !IsToken(s) {
		return Unnamed
	}
	return s
}

// Split returns the tokens of a subject behind a beginning such as "factro.command.", if there are n of them, none is empty
// and all are UTF-8, as attributes of CloudEvents are: NATS takes any bytes. Else it returns nil.
func Split(subject, beginning string, n int) []string {
	rest, ok := strings.CutPrefix(subject, beginning)
	t := strings.Split(rest, ".")
	if !ok || len(t) != n || slices.Contains(t, "") || !utf8.ValidString(subject) {
		return nil
	}
	return t
}
