package topology

import "strings"

// SubjectToken returns the nth token of a subject, "" if there is none.
func SubjectToken(subject string, n int) string {
	tokens := strings.SplitN(subject, ".", n+2)
	if n >= len(tokens) {
		return ""
	}
	return tokens[n]
}
